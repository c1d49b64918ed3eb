// Matrix product in a fixed order with NEON.
#include "core/target.hpp"
#include "project/project.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "project/project.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Project> registered(Isa::neon, neon::project_rows);
}  // namespace vecpress

#endif
