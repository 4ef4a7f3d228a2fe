// SPDX-License-Identifier: Apache-2.0
//
// PLIOs and their text files (UG1076 "TXT File Format").
//
// A data line holds one beat: as many decimal values of the port's element type as fit the PLIO width (int8 on
// plio_64_bits: 8), separated by blanks. Inputs may also contain what the simulators write: "T <time> <unit>" lines,
// which are skipped, and "TLAST" lines, which give TLAST to the last word of the beat on the next line; that beat may
// be shorter, but must consist of whole 32-bit words.
//
// Outputs have one blank between values, none at a line's end, one newline, and "TLAST" before a beat in which a kernel
// set it. There is no time here, so there are no T lines. The simulators differ from each other in what is not data:
// aiesimulator writes T lines, a blank after the last value, and a TLAST for each buffer that a DMA sent, x86simulator
// only the values. A comparison byte for byte therefore drops T and TLAST lines and trailing blanks on both sides:
//   grep -v -e '^T ' -e '^TLAST' FILE | sed 's/ *$//'
// Real types are written as the shortest decimal that reads back as the same value: compare those by value.
#ifndef ADF_PLIO_H_
#define ADF_PLIO_H_

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "adf/port_end.h"
#include "adf/ports.h"

namespace adf {

enum plio_type { plio_32_bits = 32, plio_64_bits = 64, plio_128_bits = 128 };

namespace host {

struct PlioNode : Node {
  PlioNode(std::string logical_name, plio_type plio_width, std::string data_file, bool is_input)
      : name(std::move(logical_name)), width(plio_width), file(std::move(data_file)), reads(is_input) {}
  std::string describe() const override {
    return std::string(reads ? "input_plio '" : "output_plio '") + name + "' (" +
           (file.empty() ? "no file" : "file '" + file + "'") + ")";
  }

  std::string name;
  plio_type width;
  std::string file;
  bool reads;
  Port* port = nullptr;
};

class PlioIn : public PortEnd {
 public:
  // Reads the whole file; a line that is not of the format stops with its number.
  PlioIn(const PlioNode& node, const ElementType& element) : PortEnd(node.describe()), bytes_(element.bytes) {
    std::ifstream file(node.file);
    if (!file) fail(name() + ": cannot open the file");
    const size_t per_line = node.width / 8 / element.bytes;
    std::string line;
    bool last = false;
    for (size_t number = 1; std::getline(file, line); ++number) {
      std::istringstream tokens(line);
      std::string token;
      if (!(tokens >> token) || token == "T") continue;
      if (token == "TLAST") {
        last = true;
        continue;
      }
      std::vector<std::byte> beat;
      do {
        std::array<std::byte, 8> value{};
        if (!element.parse(token, value.data())) {
          fail(name() + " line " + std::to_string(number) + ": '" + token + "' is no value of type " + element.name);
        }
        beat.insert(beat.end(), value.begin(), value.begin() + element.bytes);
      } while (tokens >> token);
      const size_t values = beat.size() / element.bytes;
      if (values != per_line && !(last && values < per_line && beat.size() % 4 == 0)) {
        fail(name() + " line " + std::to_string(number) + ": " + count(values, "value") + "; a line of plio_" +
             std::to_string(node.width) + "_bits has " + std::to_string(per_line) + " of type " + element.name);
      }
      for (size_t at = 0; at < beat.size(); at += 4) {
        Word word;
        std::memcpy(&word.bits, &beat[at], sizeof word.bits);
        words_.push_back(word);
      }
      if (last) words_.back().last = Tlast::kSet;
      last = false;
    }
  }

  bool pump() override {
    bool moved = false;
    for (; next_ < words_.size() && room(); ++next_) {
      push(words_[next_]);
      moved = true;
    }
    return moved;
  }
  bool exhausted() const override { return next_ == words_.size(); }
  std::string describe_source() const override {
    return name() +
           (exhausted() ? ", whose input ended after " + count(words_.size() * 4 / bytes_, "value") : std::string());
  }

 private:
  unsigned bytes_;
  std::vector<Word> words_;
  size_t next_ = 0;
};

class PlioOut : public PortEnd {
 public:
  PlioOut(const PlioNode& node, const ElementType& element)
      : PortEnd(node.describe()), element_(element), beat_words_(node.width / 32) {
    if (node.file.empty()) return;
    const std::filesystem::path folder = std::filesystem::path(node.file).parent_path();
    std::error_code error;
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    file_.open(node.file);
    if (!file_) fail(name() + ": cannot write the file");
  }

  bool pump() override {
    bool moved = false;
    while (!fifo().words.empty()) {
      const Word word = fifo().words.front();
      fifo().words.pop_front();
      beat_.push_back(word.bits);
      if (word.last == Tlast::kSet || beat_.size() == beat_words_) write_beat(word.last == Tlast::kSet);
      moved = true;
    }
    return moved;
  }

  void flush() { file_.flush(); }
  // Words that do not fill a beat, which would not leave a device.
  size_t incomplete_words() const { return beat_.size(); }

 private:
  void write_beat(bool last) {
    std::string line = last ? "TLAST\n" : "";
    for (size_t at = 0; at < beat_.size() * 4; at += element_.bytes) {
      if (at != 0) line += ' ';
      element_.format(reinterpret_cast<const std::byte*>(beat_.data()) + at, line);
    }
    beat_.clear();
    file_ << line << '\n';
  }

  const ElementType& element_;
  size_t beat_words_;
  std::ofstream file_;
  std::vector<uint32_t> beat_;
};

template <direction D>
class Plio : public Handle<PlioNode> {
 public:
  Plio() = default;
  // `frequency` in MHz has no meaning here.
  static Plio create(std::string name, plio_type width, std::string file = {}, double frequency = 0) {
    static_cast<void>(frequency);
    return Plio(make_node<PlioNode>(std::move(name), width, std::move(file), D == direction::out));
  }
  static Plio create(plio_type width, std::string file = {}, double frequency = 0) {
    return create("plio", width, std::move(file), frequency);
  }

 protected:
  explicit Plio(PlioNode* node) : Handle<PlioNode>(node) {
    node->port = node->scope->add_port(D, PortKind::kPlio, node, 0);
  }
};

}  // namespace host

// A source of the graph: its port is out[0].
class input_plio : public host::Plio<direction::out> {
 public:
  input_plio() = default;
  input_plio(const host::Plio<direction::out>& plio) : host::Plio<direction::out>(plio) { bind(); }
  host::PortList<direction::out> out;

 private:
  void bind() {
    out.bind(host_node());
    out.push_back(host_node()->port);
  }
};

class output_plio : public host::Plio<direction::in> {
 public:
  output_plio() = default;
  output_plio(const host::Plio<direction::in>& plio) : host::Plio<direction::in>(plio) { bind(); }
  host::PortList<direction::in> in;

 private:
  void bind() {
    in.bind(host_node());
    in.push_back(host_node()->port);
  }
};

}  // namespace adf

#endif  // ADF_PLIO_H_
