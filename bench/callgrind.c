// Switches valgrind's counting of instructions on and off around a call; compiled by instructions.py when it runs.
#include <valgrind/callgrind.h>

int counted(void) { return RUNNING_ON_VALGRIND; }

void count_start(void) {
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
}

// Writes what was counted to the next file, under this name.
void count_stop(const char* name) {
  CALLGRIND_DUMP_STATS_AT(name);
  CALLGRIND_STOP_INSTRUMENTATION;
}
