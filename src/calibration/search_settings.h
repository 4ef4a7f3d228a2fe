// SPDX-License-Identifier: Apache-2.0
//
// The numbers that make up the search's design. docs/calibration.md describes the search and says which other values
// were tried. Every parameter file depends on them, to the bit: none of them is an option of the program.
#ifndef HCCS_SRC_CALIBRATION_SEARCH_SETTINGS_H_
#define HCCS_SRC_CALIBRATION_SEARCH_SETTINGS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace hccs::internal {

// The search for the real-valued curve: many starts on a small table, the best of them again on all rows.
struct CurveSettings {
  // Beyond this distance, in nats, a position has less than 1e-10 of its row's mass: only the floor matters there.
  double longest_distance = 24.0;
  // The least logarithm of a floor or a slope, relative to f(0) = 1; its negative is the greatest.
  double smallest_log = -16.0;

  // A start is a choice of K knee positions out of a grid of so many, evenly spaced on a logarithmic scale between
  // grid_from times the longest distance and that distance.
  int grid_points = 8;
  double grid_from = 0.06;

  int coarse_bins = 256;  // every start, on the first coarse_rows rows
  int64_t coarse_rows = 512;
  int coarse_iterations = 40;

  size_t kept_starts = 4;  // the best of them, on all rows
  int fine_bins = 1024;
  int fine_iterations = 100;
};

// The search for the integers and the logit step around that curve: steps are scanned, the best are refined, restarted
// and polished.
struct IntegerSettings {
  int64_t coarse_rows = 1024;  // of all stages but the last

  // Scan: each step is so many times the one before.
  double step_ratio = 1.06;
  // The longest step is at least 1 + step_range / K times the shortest: a coarse step may round luckily, the more so
  // the fewer the knees.
  double step_range = 6.0;
  // Fewer rows than coarse_rows make the objective more jagged in the step, and a step cheaper: so each interval
  // between two steps is divided into coarse_rows / rows parts, up to so many.
  int64_t most_parts = 16;

  // At each step the curve is rounded with f(0) at so many scales, evenly spaced from the greatest that the ranges of B
  // and S_k allow down to about half of it.
  int scales = 16;

  // The best rounding descends by moves of these sizes in turn. Floors are large numbers, so their move is a share of
  // the floor (at least 1) that shrinks with the others.
  struct Move {
    int32_t coordinate;  // of a slope or a position
    double floor_share;  // of the floor
  };
  std::array<Move, 3> moves = {{{4, 0.25}, {2, 0.06}, {1, 0.015}}};
  double least_gain = 1e-9;  // in nats: a move that gains less is not taken

  size_t kept_steps = 5;  // the best after each stage; twice as many after the scan
  // Refine: so many rounds, each of which tries steps around every kept one. Their distances are these shares of the
  // scan's spacing in the first round, and a third of those before in every other.
  int refinements = 3;
  std::array<double, 4> shifts = {-2.0 / 3, -1.0 / 3, 1.0 / 3, 2.0 / 3};
  double shrink = 3.0;

  // Restart: the best steps again from randomly disturbed copies of their integers.
  size_t restarted_steps = 2;
  int restarts = 16;
  uint64_t restart_seed = 1;
  // A copy's floor and slopes are multiplied by e^u with u uniform within +-disturbance, its positions with u within
  // half of that.
  double disturbance = 0.6;
};

struct SearchSettings {
  CurveSettings curve;
  IntegerSettings integers;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_CALIBRATION_SEARCH_SETTINGS_H_
