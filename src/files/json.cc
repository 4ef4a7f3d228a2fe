// SPDX-License-Identifier: Apache-2.0
#include "files/json.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

namespace hccs::internal {
namespace {

constexpr size_t kMaxShown = 100;

// Builds a document and refuses what nlohmann's own parser takes: names that occur twice, and documents that would take
// memory out of proportion to their text. What is read in parts is given away part by part.
class Builder : public nlohmann::json_sax<Json> {
 public:
  // `parts` may be null.
  Builder(std::string_view where, const JsonParts* parts) : where_(where), parts_(parts) {}

  const Status& error() const noexcept { return error_; }
  Json take() { return std::move(root_); }

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(number_integer_t value) override { return scalar(value); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return scalar(value); }
  bool string(string_t& value) override { return scalar(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return fail("binary data"); }
  bool start_object(size_t /*size*/) override { return open(Json::object()); }
  bool start_array(size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    name_ = name;
    if (in_parts()) {
      part_name_ = std::move(name);
      return true;
    }
    const auto [member, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(std::move(name), nullptr);
    member_ = &member->second;
    return is_new || fail(fmt::format("the name {} occurs twice", in_quotes(name_)));
  }
  bool parse_error(size_t position, const std::string& /*last_token*/,
                   const nlohmann::detail::exception& error) override {
    const std::string_view text = error.what();
    const size_t prefix = text.find("] ");  // "[json.exception.parse_error.101] "
    return fail(fmt::format("no JSON at byte {}: {}", position,
                            to_valid_utf8(text.substr(prefix == text.npos ? 0 : prefix + 2).substr(0, 2 * kMaxShown))));
  }

 private:
  bool fail(std::string_view message) {
    error_ = {StatusCode::kBadData, fmt::format("{}: {}", where_, message)};
    return false;
  }

  // Whether the innermost open container is the one that is read in parts.
  bool in_parts() const { return parts_depth_ != 0 && open_.size() == parts_depth_; }

  // Puts the value where it belongs; null on an error.
  Json* add(Json value) {
    const size_t limit = parts_depth_ == 0 ? kMaxJsonValues : kMaxJsonPartValues;
    if (values_ == limit) {
      fail(fmt::format("more than {} values{}, but at most that many are read", limit,
                       parts_depth_ == 1 ? " in " + in_quotes(part_name_) : ""));
      return nullptr;
    }
    ++values_;
    if (open_.empty()) return &(root_ = std::move(value));
    if (in_parts()) return &(part_ = std::move(value));
    if (open_.back()->is_object()) return &(*member_ = std::move(value));
    return &open_.back()->get_ref<Json::array_t&>().emplace_back(std::move(value));
  }

  bool scalar(Json value) { return add(std::move(value)) != nullptr && added(); }

  bool open(Json container) {
    if (open_.size() == kMaxJsonDepth) return fail(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    Json* const added = add(std::move(container));
    if (added == nullptr) return false;
    open_.push_back(added);
    if (parts_ != nullptr &&
        (parts_->array.empty() ? open_.size() == 1 && added->is_object()
                               : open_.size() == 2 && added->is_array() && name_ == parts_->array)) {
      parts_depth_ = open_.size();
      kept_ = std::exchange(values_, 0);
    }
    return true;
  }

  bool close() {
    if (in_parts()) {
      parts_depth_ = 0;
      values_ = kept_;
    }
    open_.pop_back();
    return added();
  }

  // A value is complete; if it is a part, it goes.
  bool added() {
    if (!in_parts()) return true;
    error_ = parts_->read(part_name_, part_);
    part_ = nullptr;
    values_ = 0;
    return error_.ok();
  }

  std::string_view where_;
  const JsonParts* parts_;
  Json root_;
  std::vector<Json*> open_;  // the containers around the next value
  std::string name_;         // the last one
  Json* member_ = nullptr;   // where the value of that name goes
  size_t values_ = 0;        // of the document or, where it is read in parts, of the part
  Json part_;
  std::string part_name_;   // empty for an element of an array
  size_t parts_depth_ = 0;  // open_.size() in the container that is read in parts; 0 outside it
  size_t kept_ = 0;         // values_ outside it
  Status error_;
};

}  // namespace

Expected<Json> parse_json(std::string_view text, std::string_view where, const JsonParts* parts) {
  // nlohmann would stop at a NUL and ignore what follows.
  HCCS_RETURN_IF_ERROR(check_utf8(text, where));
  Builder builder(where, parts);
  if (!Json::sax_parse(text, &builder)) return builder.error();
  return builder.take();
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
