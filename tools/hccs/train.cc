// SPDX-License-Identifier: Apache-2.0
//
// hccs train: starts the program hccs-train, which takes the place of this one, so that signals, terminal and exit code
// are its own.
#include "train.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "console.h"
#include "train_options.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "hccs-train";

// Where the program may be: beside this one, as builds have it, and where installation puts it.
std::vector<fs::path> places() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  return {folder / kName, (folder / HCCS_TRAIN_FROM_BIN / kName).lexically_normal()};
}

Status no_program() {
  std::string tried;
  for (const fs::path& place : places()) tried += fmt::format("{}{}", tried.empty() ? "" : ", ", place.string());
  return {StatusCode::kUnsupported,
          fmt::format("training is the program {}, which is not there ({}): this hccs was built without libtorch, or "
                      "without its target hccs_train. Install libtorch (Debian: apt-get install libtorch-dev "
                      "libopenblas0-pthread) and run: make build",
                      kName, tried)};
}

}  // namespace

fs::path train_program() {
  for (const fs::path& place : places()) {
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return {};
}

Command add_train(CLI::App& root, char** argv) {
  Command command = add_train(root, [argv](const TrainCommand&) -> Status {
    const fs::path program = train_program();
    if (program.empty()) return no_program();
    if (interrupted()) return {StatusCode::kCancelled, "interrupted"};
    restore_signals();
    ::execv(program.c_str(), argv);
    return {StatusCode::kIo, fmt::format("{}: cannot be started: {}", program.string(), std::strerror(errno))};
  });
  // Where nothing can be trained, that is the first thing to say.
  command.usage_error = [check = std::move(command.usage_error)] {
    return train_program().empty() ? std::string() : check();
  };
  return command;
}

}  // namespace hccs::tool
