// SPDX-License-Identifier: Apache-2.0
//
// As aie.hpp beside it, except that adf.h may include it.
#ifndef HCCS_TEST_ADF_INCLUDED
#define HCCS_TEST_ADF_INCLUDED
#else
#error "a graph must not need the AIE API"
#endif
