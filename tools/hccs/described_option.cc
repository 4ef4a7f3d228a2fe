// SPDX-License-Identifier: Apache-2.0
#include "described_option.h"

#include <fmt/core.h>

#include <algorithm>

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

}  // namespace

std::vector<DescribedOption> describe_options(const CLI::App& app) {
  std::vector<DescribedOption> described;
  for (const CLI::Option* option : app.get_options()) {
    DescribedOption d;
    d.positional = option->get_positional();
    if (d.positional) d.names.push_back(option->get_name(true));
    for (const std::string& name : option->get_snames()) d.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) d.names.push_back("--" + name);
    d.description = option->get_description();
    std::replace(d.description.begin(), d.description.end(), '\n', ' ');
    const std::string type = option->get_type_name();
    d.choices = choices_of(type);
    d.value = value_of(*option, d.choices);
    d.value_is_optional = type.starts_with("[=");
    d.takes_file = !d.value.empty() && d.choices.empty() && (type.starts_with("TEXT") || d.value_is_optional);
    d.several_values = option->get_items_expected_max() > 1;
    const std::string value = option->get_default_str();
    if (!value.empty() && value != "[]") d.description += " (default: " + value + ")";
    if (option->get_required()) d.description += " (required)";
    described.push_back(std::move(d));
  }
  return described;
}

}  // namespace hccs::tool
