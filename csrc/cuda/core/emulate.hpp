// CUDA's threads, barriers and warps on one processor: what kernels compile against where there is no nvcc or no device.
//
// Every thread of a block is a fibre. A barrier or a warp's exchange lets the others run until all have come; where they never do, the
// launch fails with kDeadlock instead of hanging. Blocks run one after the other, and threads up to the next barrier, in changing
// orders, and shared memory begins poisoned: a kernel that counts on either gives wrong results here too. What cannot show: races between blocks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __restrict__ __restrict

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
struct alignas(16) int4 { int x, y, z, w; };
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

namespace emulate {

constexpr int kWarp = 32;
constexpr std::size_t kStack = 96 << 10;
constexpr std::size_t kShared = 256 << 10;
enum class Wait : uint8_t { kNothing, kBlock, kWarp, kDone };

#if defined(__x86_64__)
extern "C" void vecpress_switch_stack(void** save, void* to);
asm(R"(
.text
.type vecpress_switch_stack,@function
vecpress_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size vecpress_switch_stack,.-vecpress_switch_stack
)");
#endif

struct Fibre {
  std::unique_ptr<char[]> stack{new char[kStack]};
#if defined(__x86_64__)
  void* sp = nullptr;
#else
  ucontext_t context;
#endif
  Wait wait = Wait::kNothing;
  unsigned mask = 0;  // of the lanes that meet
  dim3 index{0, 0, 0};
};

struct Warp {
  uint64_t slot[kWarp];
  uint32_t words[kWarp][8];  // of a lane, for products of whole warps
};

struct Machine {
  std::vector<Fibre> fibres;
  std::vector<Warp> warps;
  std::unique_ptr<char[]> shared{new char[kShared]};
  std::function<void()> body;
  int threads = 0, current = 0;
  dim3 block, grid, block_dim, thread;
#if defined(__x86_64__)
  void* scheduler = nullptr;
#else
  ucontext_t scheduler;
#endif
};

inline Machine& machine() {
  static Machine m;
  return m;
}
inline std::mutex& lock() {
  static std::mutex m;
  return m;
}

#if defined(__SANITIZE_ADDRESS__)
inline const void* sanitizer_stack = nullptr;
inline std::size_t sanitizer_size = 0;
#endif

inline void to_scheduler() {
  Machine& m = machine();
  Fibre& f = m.fibres[static_cast<std::size_t>(m.current)];
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(f.wait == Wait::kDone ? nullptr : &fake, sanitizer_stack, sanitizer_size);
#endif
#if defined(__x86_64__)
  vecpress_switch_stack(&f.sp, m.scheduler);
#else
  swapcontext(&f.context, &m.scheduler);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

inline void entry() {
  Machine& m = machine();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &sanitizer_stack, &sanitizer_size);
#endif
  m.body();
  m.fibres[static_cast<std::size_t>(m.current)].wait = Wait::kDone;
  to_scheduler();
  std::abort();  // a finished fibre is never resumed
}

inline void begin(Fibre& f) {
#if defined(__x86_64__)
  char* top = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(f.stack.get() + kStack) & ~uintptr_t{15});
  void** sp = reinterpret_cast<void**>(top) - 2;  // as after a call: the stack is 8 off a multiple of 16
  sp[0] = reinterpret_cast<void*>(&entry);
  sp[1] = nullptr;
  sp -= 6;
  std::fill(sp, sp + 6, nullptr);
  f.sp = sp;
#else
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack.get();
  f.context.uc_stack.ss_size = kStack;
  f.context.uc_link = nullptr;
  makecontext(&f.context, reinterpret_cast<void (*)()>(&entry), 0);
#endif
  f.wait = Wait::kNothing;
}

inline void resume(int i) {
  Machine& m = machine();
  Fibre& f = m.fibres[static_cast<std::size_t>(i)];
  m.current = i;
  m.thread = f.index;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, f.stack.get(), kStack);
#endif
#if defined(__x86_64__)
  vecpress_switch_stack(&m.scheduler, f.sp);
#else
  swapcontext(&m.scheduler, &f.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// Whether some threads could go on: those of a warp whose named lanes have all come, else those of a block where all have.
inline bool release(bool& finished) {
  Machine& m = machine();
  bool any = false;
  int done = 0, at_block = 0;
  for (int first = 0; first < m.threads; first += kWarp) {
    const int lanes = std::min(kWarp, m.threads - first);
    unsigned waiting = 0, gone = 0;
    for (int lane = 0; lane < lanes; ++lane) {
      const Wait w = m.fibres[static_cast<std::size_t>(first + lane)].wait;
      waiting |= (w == Wait::kWarp ? 1u : 0u) << lane;
      gone |= (w == Wait::kDone ? 1u : 0u) << lane;
      done += w == Wait::kDone;
      at_block += w == Wait::kBlock;
    }
    const unsigned all = lanes == 32 ? 0xffffffffu : (1u << lanes) - 1;
    for (int lane = 0; lane < lanes; ++lane) {
      Fibre& f = m.fibres[static_cast<std::size_t>(first + lane)];
      if (f.wait == Wait::kWarp && (f.mask & all & ~gone & ~waiting) == 0) {
        bool agreed = true;  // lanes that wait for other sets of lanes have not come
        for (int other = 0; other < lanes; ++other) {
          const Fibre& o = m.fibres[static_cast<std::size_t>(first + other)];
          if ((f.mask & all & ~gone) >> other & 1) agreed = agreed && o.wait == Wait::kWarp && o.mask == f.mask;
        }
        if (!agreed) continue;
        for (int other = 0; other < lanes; ++other)
          if ((f.mask & all & ~gone) >> other & 1) m.fibres[static_cast<std::size_t>(first + other)].wait = Wait::kNothing;
        waiting &= ~f.mask;
        any = true;
      }
    }
  }
  finished = done == m.threads;
  if (!any && at_block && at_block + done == m.threads) {
    for (Fibre& f : m.fibres)
      if (f.wait == Wait::kBlock) f.wait = Wait::kNothing;
    any = true;
  }
  return any;
}

inline bool run_block(bool backwards) {
  Machine& m = machine();
  std::memset(m.shared.get(), 0xA5, kShared);
  for (int i = 0; i < m.threads; ++i) begin(m.fibres[static_cast<std::size_t>(i)]);
  for (bool finished = false; !finished;) {
    for (int t = 0; t < m.threads; ++t) {
      const int i = backwards ? m.threads - 1 - t : t;
      if (m.fibres[static_cast<std::size_t>(i)].wait == Wait::kNothing) resume(i);
    }
    if (!release(finished) && !finished) return false;
  }
  return true;
}

// 0, or that threads of a block wait for each other for ever.
inline int launch(dim3 grid, dim3 block, std::function<void()> body) {
  const std::lock_guard<std::mutex> guard(lock());
  Machine& m = machine();
  m.threads = static_cast<int>(block.x * block.y * block.z);
  if (m.fibres.size() < static_cast<std::size_t>(m.threads)) m.fibres.resize(static_cast<std::size_t>(m.threads));
  m.warps.resize(m.fibres.size() / kWarp + 1);
  m.body = std::move(body);
  m.grid = grid;
  m.block_dim = block;
  for (int i = 0; i < m.threads; ++i) {
    const unsigned t = static_cast<unsigned>(i);
    m.fibres[static_cast<std::size_t>(i)].index = dim3(t % block.x, t / block.x % block.y, t / (block.x * block.y));
  }
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  static uint64_t turn = 0;
  const bool backwards = ++turn & 1;
  for (uint64_t b = 0; b < blocks; ++b) {
    const uint64_t at = backwards ? blocks - 1 - b : b;
    m.block = dim3(static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                   static_cast<unsigned>(at / (uint64_t{grid.x} * grid.y)));
    if (!run_block(turn & 2)) return 1;
  }
  return 0;
}

inline void meet(Wait wait, unsigned mask = 0) {
  Machine& m = machine();
  Fibre& f = m.fibres[static_cast<std::size_t>(m.current)];
  f.wait = wait;
  f.mask = mask;
  to_scheduler();
}

inline int lane() { return machine().current % kWarp; }
inline Warp& warp() { return machine().warps[static_cast<std::size_t>(machine().current / kWarp)]; }

// Every lane gives a value and reads those of the others.
template <class T, class F>
inline T exchange(unsigned mask, T value, F read) {
  static_assert(sizeof(T) <= 8, "warps exchange words");
  Warp& w = warp();
  std::memcpy(&w.slot[lane()], &value, sizeof(T));
  meet(Wait::kWarp, mask);
  const T out = read([&](int i) {
    T x;
    std::memcpy(&x, &w.slot[i], sizeof(T));
    return x;
  });
  meet(Wait::kWarp, mask);
  return out;
}

}  // namespace emulate
