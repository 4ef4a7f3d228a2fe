// SPDX-License-Identifier: Apache-2.0
#include "formats/json.h"

#include <fmt/core.h>

#include <set>
#include <vector>

namespace hccs::internal {
namespace {

constexpr size_t kMaxShown = 100;

// What Json::parse does not refuse by itself, found before it builds anything.
class Checker : public nlohmann::json_sax<Json> {
 public:
  const std::string& error() const noexcept { return error_; }

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(size_t /*size*/) override { return enter(); }
  bool start_array(size_t /*size*/) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    return names_.back().insert(name).second || fail(fmt::format("the name {} occurs twice", in_quotes(name)));
  }
  bool parse_error(size_t position, const std::string& /*last_token*/,
                   const nlohmann::detail::exception& error) override {
    const std::string_view text = error.what();
    const size_t prefix = text.find("] ");  // "[json.exception.parse_error.101] "
    return fail(fmt::format("no JSON at byte {}: {}", position,
                            to_valid_utf8(text.substr(prefix == text.npos ? 0 : prefix + 2).substr(0, 2 * kMaxShown))));
  }

 private:
  bool fail(std::string message) {
    error_ = std::move(message);
    return false;
  }
  bool enter() {
    if (names_.size() == kMaxJsonDepth) return fail(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    names_.emplace_back();
    return true;
  }
  bool leave() {
    names_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> names_;  // of each open object; empty for an array
  std::string error_;
};

}  // namespace

Expected<Json> parse_json(std::string_view text, std::string_view where) {
  // nlohmann would stop at a NUL and ignore what follows.
  HCCS_RETURN_IF_ERROR(check_utf8(text, where));
  Checker checker;
  if (!Json::sax_parse(text, &checker)) {
    return Status(StatusCode::kBadData, fmt::format("{}: {}", where, checker.error()));
  }
  return Json::parse(text, nullptr, false);
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kMaxShown ? text : to_valid_utf8(text.substr(0, kMaxShown)) + "...";
}

Expected<int64_t> json_integer(const Json& value, std::string_view where, std::string_view what, int64_t low,
                               int64_t high) {
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  if (!fits || value.get<int64_t>() < low || value.get<int64_t>() > high) {
    return Status(StatusCode::kBadData, fmt::format("{}: {} = {}, but it is an integer, {} <= {} <= {}", where, what,
                                                    shown(value), low, what, high));
  }
  return value.get<int64_t>();
}

Expected<JsonFields> JsonFields::of(const Json& value, std::string where) {
  if (!value.is_object()) {
    return Status(StatusCode::kBadData, fmt::format("{}: {}, but it is an object", where, shown(value)));
  }
  return JsonFields(value, std::move(where));
}

const Json* JsonFields::find(std::string_view key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

Expected<const Json*> JsonFields::require(std::string_view key) const {
  if (const Json* value = find(key)) return value;
  return Status(StatusCode::kBadData, fmt::format("{}: the field \"{}\" is missing", where_, key));
}

Status JsonFields::bad(std::string_view key, std::string_view rule) const {
  const Json* value = find(key);
  return {StatusCode::kBadData,
          fmt::format("{}: {} = {}, but {}", where_, key, value == nullptr ? "null" : shown(*value), rule)};
}

Expected<int64_t> JsonFields::integer(std::string_view key, int64_t low, int64_t high) const {
  HCCS_ASSIGN_OR_RETURN(const Json* value, require(key));
  return json_integer(*value, where_, key, low, high);
}

Expected<uint64_t> JsonFields::unsigned_integer(std::string_view key) const {
  HCCS_ASSIGN_OR_RETURN(const Json* value, require(key));
  if (!value->is_number_unsigned()) return bad(key, "it is an integer, 0 to 2^64 - 1");
  return value->get<uint64_t>();
}

Expected<double> JsonFields::number(std::string_view key, double low, double high) const {
  HCCS_ASSIGN_OR_RETURN(const Json* value, require(key));
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
    return bad(key, fmt::format("it is a number, {} <= {} <= {}", low, key, high));
  }
  return value->get<double>();
}

Expected<std::string> JsonFields::string(std::string_view key) const {
  HCCS_ASSIGN_OR_RETURN(const Json* value, require(key));
  if (!value->is_string()) return bad(key, "it is a string");
  return value->get<std::string>();
}

Expected<bool> JsonFields::boolean(std::string_view key) const {
  HCCS_ASSIGN_OR_RETURN(const Json* value, require(key));
  if (!value->is_boolean()) return bad(key, "it is true or false");
  return value->get<bool>();
}

Expected<const Json*> JsonFields::array(std::string_view key) const {
  HCCS_ASSIGN_OR_RETURN(const Json* value, require(key));
  if (!value->is_array()) return bad(key, "it is an array");
  return value;
}

}  // namespace hccs::internal
