// Euclidean norms for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "norms/norms.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "norms/norms.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Norms> registered(Isa::scalar, scalar::norms_of_rows);
}  // namespace vecpress
