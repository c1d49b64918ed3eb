// Binarisation for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "pack_bits/pack_bits.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/runs.inl"

#include "pack_bits/pack_bits.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<PackBits> registered(Isa::scalar, scalar::pack_rows);
}  // namespace vecpress
