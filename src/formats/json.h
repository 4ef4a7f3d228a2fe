// SPDX-License-Identifier: Apache-2.0
//
// JSON as every reader here wants it: errors as values that name the file, the field, the value and the rule.
#ifndef HCCS_FORMATS_JSON_H_
#define HCCS_FORMATS_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "formats/utf8.h"
#include "hccs/status.h"

namespace hccs::internal {

using Json = nlohmann::json;

inline constexpr int kMaxJsonDepth = 64;

// Strict JSON without duplicate names in an object, nested at most kMaxJsonDepth deep, in UTF-8 with or without a byte
// order mark. `where` starts the message.
Expected<Json> parse_json(std::string_view text, std::string_view where);

// For messages: the JSON text of a value, shortened.
std::string shown(const Json& value);

// `value` as an integer within [low, high]. `what` names it in the message.
Expected<int64_t> json_integer(const Json& value, std::string_view where, std::string_view what, int64_t low,
                               int64_t high);

// The members of an object, each checked. A null counts as absent, as Hugging Face's configurations use it. `object`
// outlives this.
class JsonFields {
 public:
  // kBadData if `value` is no object.
  static Expected<JsonFields> of(const Json& value, std::string where);

  bool has(std::string_view key) const { return find(key) != nullptr; }

  Expected<int64_t> integer(std::string_view key, int64_t low, int64_t high) const;
  Expected<uint64_t> unsigned_integer(std::string_view key) const;
  Expected<double> number(std::string_view key, double low, double high) const;
  Expected<std::string> string(std::string_view key) const;
  Expected<bool> boolean(std::string_view key) const;
  Expected<const Json*> array(std::string_view key) const;

  Status bad(std::string_view key, std::string_view rule) const;

 private:
  JsonFields(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {}
  const Json* find(std::string_view key) const;
  Expected<const Json*> require(std::string_view key) const;

  const Json* object_;
  std::string where_;
};

}  // namespace hccs::internal

#endif  // HCCS_FORMATS_JSON_H_
