// SPDX-License-Identifier: Apache-2.0
#include "described_option.h"

#include <algorithm>
#include <set>

namespace hccs::tool {
namespace {

// Of CLI11's "TEXT:{old->new,...}:{a,b,c}" the last list, which has the names as they are now.
std::vector<std::string> choices_of(const std::string& type) {
  const size_t begin = type.rfind('{');
  const size_t end = type.rfind('}');
  std::vector<std::string> choices;
  if (begin == std::string::npos || end == std::string::npos || end < begin) return choices;
  for (std::string& name : CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',')) {
    if (name.find("->") == std::string::npos) choices.push_back(std::move(name));
  }
  return choices;
}

// "TEXT:{a,b}" as "a|b", "INT:INT in [1 - 4]" as "INT in [1 - 4]".
std::string value_of(const CLI::Option& option, const std::vector<std::string>& choices) {
  const std::string type = option.get_type_name();
  if (option.get_items_expected_max() == 0 || type.empty()) return {};
  std::string text;
  for (const std::string& choice : choices) text += (text.empty() ? "" : "|") + choice;
  if (text.empty()) text = type.substr(type.find(':') == std::string::npos ? 0 : type.find(':') + 1);
  return text + (option.get_items_expected_max() > 1 ? " ..." : "");
}

std::string names_of(const std::set<CLI::Option*>& options) {
  std::string text;
  for (const CLI::Option* option : options) text += (text.empty() ? "" : ", ") + option->get_name();
  return text;
}

// One line: the description, and what CLI11 knows beside it.
std::string description_of(const CLI::Option& option) {
  std::string text = option.get_description();
  std::replace(text.begin(), text.end(), '\n', ' ');
  const auto add = [&](const std::string& note) { text += (text.empty() ? "(" : " (") + note + ")"; };
  const std::string value = option.get_default_str();
  if (!value.empty() && value != "[]") add("default: " + value);
  if (!option.get_needs().empty()) add("with " + names_of(option.get_needs()));
  if (!option.get_excludes().empty()) add("not with " + names_of(option.get_excludes()));
  if (option.get_required()) add("required");
  return text;
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const DescribedOption described = describe_option(*option);
    return described.value.empty() ? "" : (described.value_is_optional ? "" : " ") + described.value;
  }
  std::string make_option_desc(const CLI::Option* option) const override { return description_of(*option); }
};

}  // namespace

DescribedOption describe_option(const CLI::Option& option) {
  DescribedOption d;
  d.positional = option.get_positional();
  if (d.positional) d.names.push_back(option.get_name(true));
  for (const std::string& name : option.get_snames()) d.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) d.names.push_back("--" + name);
  d.description = description_of(option);
  const std::string type = option.get_type_name();
  d.choices = choices_of(type);
  d.value = value_of(option, d.choices);
  d.value_is_optional = type.starts_with("[=");
  d.takes_file = !d.value.empty() && d.choices.empty() && (type.starts_with("TEXT") || d.value_is_optional);
  d.several_values = option.get_items_expected_max() > 1;
  return d;
}

std::vector<DescribedOption> describe_options(const CLI::App& app) {
  std::vector<DescribedOption> described;
  for (const CLI::Option* option : app.get_options()) described.push_back(describe_option(*option));
  return described;
}

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace hccs::tool
