// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_EXPORT_H_
#define HCCS_EXPORT_H_

// What the shared library shows to its users. All else in it is hidden.
#if defined(__GNUC__) && defined(__cplusplus)
#define HCCS_API [[gnu::visibility("default")]]
#elif defined(__GNUC__)
#define HCCS_API __attribute__((visibility("default")))
#else
#define HCCS_API
#endif

#endif  // HCCS_EXPORT_H_
