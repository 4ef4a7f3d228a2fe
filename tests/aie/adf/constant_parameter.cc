// SPDX-License-Identifier: Apache-2.0
//
// A class that registers a reference to a constant array, which must not compile: AMD's examples register arrays that
// the kernel may write, and copy constant ones.
#include <adf.h>

class Constant {
 public:
  explicit Constant(const int16 (&taps)[3]) : taps_(taps) {}
  void run(adf::input_buffer<int16>& in, adf::output_buffer<int16>& out) { out.data()[0] = in.data()[0] * taps_[0]; }
  static void registerKernelClass() {
    REGISTER_FUNCTION(Constant::run);
    REGISTER_PARAMETER(taps_);
  }

 private:
  const int16 (&taps_)[3];
};
