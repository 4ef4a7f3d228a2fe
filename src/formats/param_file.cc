// SPDX-License-Identifier: Apache-2.0
#include "hccs/param_file.h"
