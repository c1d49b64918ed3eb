// Matrix product in a fixed order for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "project/project.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "project/project.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Project> registered(Isa::scalar, scalar::project_rows);
}  // namespace vecpress
