// A map from ids to row numbers: open addressing with linear probing, 21 to 43 bytes an id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vecpress {

// Keys are any int64; rows are 0 or more. Not locked: the index lets many threads look up or one thread change.
class IdMap {
 public:
  std::size_t size() const { return size_; }
  std::size_t nbytes() const { return slots_.size() * sizeof(Slot); }

  // The row of `id`, -1 where it is unknown.
  int64_t row(int64_t id) const {
    if (slots_.empty()) return kFree;
    return slots_[find(id)].row;  // the slot that a search ends at: the id's own or a free one
  }

  // Gives ids[i] the row first_row + i. If an id is there already or stands twice in the call, nothing changes, and the position of
  // the first such id is returned; else `count`.
  std::size_t insert(const int64_t* ids, std::size_t count, int64_t first_row) {
    reserve(size_ + count);
    for (std::size_t i = 0; i < count; ++i) {
      Slot& slot = slots_[find(ids[i])];
      if (slot.row != kFree) {
        for (std::size_t j = 0; j < i; ++j) remove(ids[j]);
        return i;
      }
      slot = {ids[i], first_row + static_cast<int64_t>(i)};
      ++size_;
    }
    return count;
  }

  // Gives an id that is there another row. Unknown ids are left out.
  void set_row(int64_t id, int64_t row) {
    if (slots_.empty()) return;
    Slot& slot = slots_[find(id)];
    if (slot.row != kFree) slot.row = row;
  }

  // Forgets an id. Unknown ones are left out.
  void remove(int64_t id) {
    if (slots_.empty()) return;
    std::size_t hole = find(id);
    if (slots_[hole].row == kFree) return;
    // backward-shift deletion: pulls later members of the run into the hole, so that no grave markers are needed
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t next = (hole + 1) & mask; slots_[next].row != kFree; next = (next + 1) & mask) {
      const std::size_t home = hash(slots_[next].id) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;  // its run begins behind the hole
      slots_[hole] = slots_[next];
      hole = next;
    }
    slots_[hole].row = kFree;
    --size_;
  }

  // Gives memory back when few ids are left.
  void shrink() {
    if (slots_.size() > kSmallest && size_ * 8 < slots_.size()) resize(capacity_for(size_));
  }

 private:
  struct Slot {
    int64_t id;
    int64_t row;
  };
  static constexpr int64_t kFree = -1;
  static constexpr std::size_t kSmallest = 16;

  // The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): ids in sequence or in strides spread over all slots.
  static std::size_t hash(int64_t id) {
    uint64_t z = static_cast<uint64_t>(id) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::size_t>(z ^ (z >> 31));
  }

  static std::size_t capacity_for(std::size_t count) {
    std::size_t capacity = kSmallest;
    while (capacity / 4 * 3 < count) capacity *= 2;  // at most three quarters full: probes stay short, and one slot is always free
    return capacity;
  }

  std::size_t find(int64_t id) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash(id) & mask;
    while (slots_[at].row != kFree && slots_[at].id != id) at = (at + 1) & mask;
    return at;
  }

  void reserve(std::size_t count) {
    const std::size_t capacity = capacity_for(count);
    if (capacity > slots_.size()) resize(capacity);
  }

  void resize(std::size_t capacity) {
    std::vector<Slot> old(capacity, Slot{0, kFree});
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.row != kFree) slots_[find(slot.id)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace vecpress
