// SPDX-License-Identifier: Apache-2.0
#include "hccs/model_folder.h"
