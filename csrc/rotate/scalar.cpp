// Rotations by fast Hadamard transforms for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "rotate/rotate.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "rotate/rotate.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Rotate> registered(Isa::scalar, scalar::rotate_rows);
}  // namespace vecpress
