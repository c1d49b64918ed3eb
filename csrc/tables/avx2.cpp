// A product quantizer's query tables with AVX2.
#include "core/target.hpp"
#include "tables/tables.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "tables/tables.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Tables> registered(Isa::avx2, avx2::tables_rows);
}  // namespace vecpress

#endif
