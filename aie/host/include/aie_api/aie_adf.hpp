// SPDX-License-Identifier: Apache-2.0
//
// Vectors on the ports of a graph: streams, cascades and iterators over buffers. Names and semantics: Xilinx/aie_api,
// adf/stream.hpp and adf/io_buffer.hpp; UG1603 "Reading and Advancing an Input Stream" and the pages after it.
//
// Lanes keep whether they are defined across a cascade, whose words are registers; a stream carries defined lanes only.
#ifndef AIE_API_AIE_ADF_HPP_
#define AIE_API_AIE_ADF_HPP_

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "adf.h"
#include "aie_api/aie.hpp"

namespace aie::detail::adf {

template <typename T, unsigned Elems>
inline constexpr unsigned stream_words_v = Elems * sizeof(T) / 4;

template <typename T, unsigned Elems>
vector<T, Elems> read_stream(input_stream<T>* stream, bool& tlast) {
  std::uint32_t words[stream_words_v<T, Elems>];
  tlast = stream->end->read(words, stream_words_v<T, Elems>);
  vector<T, Elems> result;
  auto& lanes = Access::lanes(result);
  std::memcpy(lanes.value.data(), words, sizeof words);
  lanes.defined = DefinedLanes<Elems>::all();
  note(aie_host::Operation::kReadincr, result, {});
  return result;
}

template <typename T, unsigned Elems>
void write_stream(output_stream<T>* stream, const vector<T, Elems>& value, bool tlast) {
  require_defined(aie_host::Operation::kWriteincr, value);
  std::uint32_t words[stream_words_v<T, Elems>];
  std::memcpy(words, Access::lanes(value).value.data(), sizeof words);
  if (aie_host::observed()) aie_host::report(aie_host::Operation::kWriteincr, std::array{describe(value)}, {});
  stream->end->write(words, stream_words_v<T, Elems>, tlast);
}

// What crosses a cascade in one cycle. Accumulators of 64 bits are of one kind, whatever their tag.
template <ElemBaseType T>
vector<T, 64 / sizeof(T)> cascade_word(T);
template <AccumElemBaseType Tag>
accum<std::conditional_t<std::is_same_v<Tag, acc32> || std::is_same_v<Tag, accfloat>, Tag, acc64>,
      512 / accum_bits_v<Tag>>
    cascade_word(Tag);
template <typename T>
using cascade_word_t = decltype(cascade_word(T{}));

template <typename T, typename Value>
void write_cascade(output_cascade<T>* cascade, const Value& value) {
  using Word = cascade_word_t<T>;
  if (aie_host::observed()) aie_host::report(aie_host::Operation::kWriteincrCascade, std::array{describe(value)}, {});
  const auto& from = Access::lanes(value);
  for (unsigned first = 0; first < Value::size(); first += Word::size()) {
    Word word;
    auto& lanes = Access::lanes(word);
    for (unsigned i = 0; i < Word::size() && first + i < Value::size(); ++i) {
      lanes.value[i] = from.value[first + i];
      lanes.defined.set(i, from.defined.test(first + i));
    }
    cascade->end->write(word);
  }
}

template <typename Value, typename T>
Value read_cascade(input_cascade<T>* cascade) {
  using Word = cascade_word_t<T>;
  Value result;
  auto& lanes = Access::lanes(result);
  for (unsigned first = 0; first < Value::size(); first += Word::size()) {
    const Word word = cascade->end->template read<Word>();
    const auto& from = Access::lanes(word);
    for (unsigned i = 0; i < Word::size() && first + i < Value::size(); ++i) {
      lanes.value[first + i] = from.value[i];
      lanes.defined.set(first + i, from.defined.test(i));
    }
  }
  note(aie_host::Operation::kReadincrCascade, result, {});
  return result;
}

}  // namespace aie::detail::adf

template <unsigned Elems, aie_stream_resource_in Resource = aie_stream_resource_in::none, typename T>
aie::vector<T, Elems> readincr_v(input_stream<T>* stream, bool& tlast) {
  return aie::detail::adf::read_stream<T, Elems>(stream, tlast);
}
template <unsigned Elems, aie_stream_resource_in Resource = aie_stream_resource_in::none, typename T>
aie::vector<T, Elems> readincr_v(input_stream<T>* stream) {
  bool tlast = false;
  return aie::detail::adf::read_stream<T, Elems>(stream, tlast);
}
template <aie_stream_resource_out Resource = aie_stream_resource_out::none, typename T, unsigned Elems>
void writeincr(output_stream<T>* stream, const aie::vector<T, Elems>& value, bool tlast = false) {
  aie::detail::adf::write_stream(stream, value, tlast);
}

template <aie::ElemBaseType T, unsigned Elems>
void writeincr(output_cascade<T>* cascade, const aie::vector<T, Elems>& value) {
  aie::detail::adf::write_cascade(cascade, value);
}
template <aie::AccumElemBaseType Tag, aie::AccumElemBaseType ValueTag, unsigned Elems>
requires std::is_same_v<aie::detail::accum_lane_t<Tag>, aie::detail::accum_lane_t<ValueTag>>
void writeincr(output_cascade<Tag>* cascade, const aie::accum<ValueTag, Elems>& value) {
  aie::detail::adf::write_cascade(cascade, value);
}
template <unsigned Elems, aie::ElemBaseType T>
aie::vector<T, Elems> readincr_v(input_cascade<T>* cascade) {
  return aie::detail::adf::read_cascade<aie::vector<T, Elems>>(cascade);
}
template <unsigned Elems, aie::AccumElemBaseType Tag>
aie::accum<Tag, Elems> readincr_v(input_cascade<Tag>* cascade) {
  return aie::detail::adf::read_cascade<aie::accum<Tag, Elems>>(cascade);
}

namespace aie {

// Iterators over the elements of a buffer, and over its vectors; read-only ones from constant buffers.
template <aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
T* begin(::adf::io_buffer<T, D, Config>& buffer) {
  return buffer.data();
}
template <aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
const T* begin(const ::adf::io_buffer<T, D, Config>& buffer) {
  return buffer.data();
}
template <aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
const T* cbegin(const ::adf::io_buffer<T, D, Config>& buffer) {
  return buffer.data();
}

template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
auto begin_vector(::adf::io_buffer<T, D, Config>& buffer) {
  return begin_vector<Elems, Resource>(buffer.data());
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
auto begin_vector(const ::adf::io_buffer<T, D, Config>& buffer) {
  return cbegin_vector<Elems, Resource>(buffer.data());
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
auto cbegin_vector(const ::adf::io_buffer<T, D, Config>& buffer) {
  return cbegin_vector<Elems, Resource>(buffer.data());
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
auto begin_restrict_vector(::adf::io_buffer<T, D, Config>& buffer) {
  return begin_restrict_vector<Elems, Resource>(buffer.data());
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
auto begin_restrict_vector(const ::adf::io_buffer<T, D, Config>& buffer) {
  return cbegin_restrict_vector<Elems, Resource>(buffer.data());
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T, typename D, typename Config>
auto cbegin_restrict_vector(const ::adf::io_buffer<T, D, Config>& buffer) {
  return cbegin_restrict_vector<Elems, Resource>(buffer.data());
}

}  // namespace aie

#endif  // AIE_API_AIE_ADF_HPP_
