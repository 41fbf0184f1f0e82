#pragma once
#include <stddef.h>
#include <stdint.h>

/// Kernels over byte buffers, each with a scalar reference (`…_scalar`) and variants picked at run time.

/// Writes the offsets of every newline (0x0A) in `bytes` to `offsets`, at most `capacity`; returns how many it wrote.
size_t nebula_find_newlines_scalar(const uint8_t *bytes, size_t count, uint32_t *offsets, size_t capacity);
