// A product quantizer's query tables with AVX-512.
#include "core/target.hpp"
#include "tables/tables.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "tables/tables.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Tables> registered(Isa::avx512, avx512::tables_rows);
}  // namespace vecpress

#endif
