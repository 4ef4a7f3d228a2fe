// SPDX-License-Identifier: Apache-2.0
//
// JSON as every reader here wants it: errors as values that name the file, the field, the value and the rule.
#ifndef HCCS_FILES_JSON_H_
#define HCCS_FILES_JSON_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "files/utf8.h"
#include "hccs/status.h"

namespace hccs::internal {

using Json = nlohmann::json;

inline constexpr size_t kMaxJsonDepth = 64;
inline constexpr size_t kMaxJsonValues = 2'000'000;    // twice the tokens of the largest vocabulary
inline constexpr size_t kMaxJsonPartValues = 100'000;  // a value in memory takes up to 150 bytes

// What of a large document is read part by part, so that one part at a time is in memory.
struct JsonParts {
  // The parts are the elements of the array that is this member of the document or, if empty, the document's members.
  std::string_view array;
  // Is given each part; `name` is that of the member, empty for an element. Whether a member's name has been there
  // before is for `read` to see. An error ends the reading and is what parse_json returns.
  std::function<Status(const std::string& name, const Json& part)> read;
};

// Strict JSON without duplicate names in an object, nested at most kMaxJsonDepth deep, with at most kMaxJsonValues
// values, in UTF-8 with or without a byte order mark. With `parts` the array, or object, of the parts is empty in the
// result, and each part may have kMaxJsonPartValues values. `where` starts the message.
Expected<Json> parse_json(std::string_view text, std::string_view where, const JsonParts* parts = nullptr);

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

#endif  // HCCS_FILES_JSON_H_
