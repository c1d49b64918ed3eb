// Nearest centroids for the baseline machine.
#include "core/half.hpp"
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "assign/assign.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "assign/assign.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Assign> registered(Isa::scalar, scalar::assign_rows);
}  // namespace vecpress
