// Rows that an allow-list leaves, moved together: a batch of queries then passes over these alone.
#pragma once

#include <memory>
#include <vector>

#include "core/scan.hpp"

namespace vecpress {

class Allowed {
 public:
  static constexpr int64_t kLeastQueries = 5;  // for fewer it never pays

  // Counts what the scan's allow-list leaves.
  explicit Allowed(const Scan& scan);

  // Whether to copy the rows and to scan the copy takes less time than to scan every block that has one.
  bool worth_moving() const;

  // Calls visit(scan of the next rows) for all of them, as many at a time as kMoved bytes hold. What one finds is found by the ids that the
  // whole scan would have given; rows stay in their order.
  template <class Visit>
  void move(int threads, Control& control, const Visit& visit) {
    for (int64_t b = 0; b < blocks_ && !control.stop();) {
      const int64_t end = fitting(b);
      const Scan part = copy(b, end, threads, control);
      if (part.n && !control.stop()) visit(part);
      b = end;
    }
  }

 private:
  static constexpr int64_t kMoved = 16 << 20;  // bytes of code

  const Scan& scan_;
  int64_t blocks_, rows_ = 0, filled_ = 0;  // filled: blocks that have an allowed row
  std::unique_ptr<uint8_t[]> memory_;
  int64_t held_ = 0;  // bytes of it
  std::vector<int64_t> ids_;

  uint64_t allowed(int64_t b) const;
  int64_t fitting(int64_t begin) const;
  Scan copy(int64_t begin, int64_t end, int threads, Control& control);
};

}  // namespace vecpress
