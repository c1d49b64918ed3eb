// Matrix product in a fixed order with AVX-512.
#include "core/target.hpp"
#include "project/project.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "project/project.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Project> registered(Isa::avx512, avx512::project_rows);
}  // namespace vecpress

#endif
