// SPDX-License-Identifier: Apache-2.0
#include "hccs/npy.h"
