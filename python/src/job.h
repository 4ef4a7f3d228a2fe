// SPDX-License-Identifier: Apache-2.0
//
// Long work for Python: without the GIL, with progress, and ended by Ctrl-C.
#ifndef HCCS_PYTHON_JOB_H_
#define HCCS_PYTHON_JOB_H_

#include <nanobind/nanobind.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "hccs/progress.h"
#include "hccs/status.h"
#include "status.h"

namespace hccs::python {

// Runs `work` on a thread of its own, and waits for it. Meanwhile the calling thread calls `progress` (done, total) a
// few times a second, unless that is None, and looks for signals. Where `progress` returns False, or either raises, the
// Progress that `work` has got says stop; an exception is raised again once the work has ended.
void run_job(nanobind::handle progress, const std::function<void(const Progress&)>& work);

// The same for work that has a result.
template <class Work>
auto result_of_job(nanobind::handle progress, const std::filesystem::path& path, const Work& work) {
  std::optional<decltype(work(Progress()))> result;
  run_job(progress, [&](const Progress& report) { result.emplace(work(report)); });
  return value_of(std::move(*result), path);
}

}  // namespace hccs::python

#endif  // HCCS_PYTHON_JOB_H_
