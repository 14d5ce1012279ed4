/*
 * How far apart two cores are: cc -O2 core-distance.c && ./a.out SECONDS [CORE CORE]. A line every half second: median
 * time of a flag's way to the other core and back, spinning, and of a byte's through two pipes; speed of copying 8 MB that
 * the other core has just written, and 4 MB that this one has.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { spins = 2000, bytes = 400, copies = 5 };
static const size_t size = 8 << 20;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec * 1e-3;
}

static void hold(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set)) {
    fprintf(stderr, "core %d cannot be used\n", core);
    exit(2);
  }
}

static int larger(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

static double median(double *times, int count) {
  qsort(times, count, sizeof *times, larger);
  return times[count / 2];
}

static char pass(int from, int to, char what) {
  char answer;
  if (write(to, &what, 1) != 1 || read(from, &answer, 1) != 1) exit(1);
  return answer;
}

/* Answers bytes; 's' starts a round of spinning, 'm' writes the memory first. */
static void serve(int from, int to, atomic_int *flag, char *memory) {
  for (char what; read(from, &what, 1) == 1;) {
    if (what == 'm') memset(memory, 2, size);
    if (write(to, &what, 1) != 1) break;
    for (int turn = 1; what == 's' && turn <= spins; turn++) {
      while (atomic_load(flag) != 2 * turn - 1) {}
      atomic_store(flag, 2 * turn);
    }
  }
  _exit(0);
}

int main(int count, char **arguments) {
  double end = now() + (count > 1 ? atof(arguments[1]) : 1) * 1e6;
  int there[2], back[2];
  if (pipe(there) || pipe(back)) return 1;
  char *memory = mmap(0, size + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  atomic_int *flag = (atomic_int *)(memory + size);
  pid_t other = fork();
  if (other == 0) {
    close(there[1]);
    hold(count > 3 ? atoi(arguments[3]) : 1);
    serve(there[0], back[1], flag, memory);
  }
  close(there[0]);
  close(back[1]);
  hold(count > 3 ? atoi(arguments[2]) : 0);
  char *own = malloc(size);
  memset(own, 1, size);
  double times[spins];
  while (now() < end) {
    atomic_store(flag, 0);
    pass(back[0], there[1], 's');
    for (int turn = 1; turn <= spins; turn++) {
      double began = now();
      atomic_store(flag, 2 * turn - 1);
      while (atomic_load(flag) != 2 * turn) {}
      times[turn - 1] = now() - began;
    }
    double spin = median(times, spins);
    for (int turn = 0; turn < bytes; turn++) {
      double began = now();
      pass(back[0], there[1], 'p');
      times[turn] = now() - began;
    }
    double piped = median(times, bytes);
    for (int turn = 0; turn < copies; turn++) {
      pass(back[0], there[1], 'm');
      double began = now();
      memcpy(own, memory, size);
      times[turn] = now() - began;
    }
    double others = median(times, copies);
    for (int turn = 0; turn < copies; turn++) {
      double began = now();
      memcpy(own, own + size / 2, size / 2);
      times[turn] = now() - began;
    }
    printf("flag %.2f us  pipes %.0f us  the other's memory %.1f GB/s  own %.1f GB/s\n", spin, piped, size / others / 1e3,
           size / 2 / median(times, copies) / 1e3);
    fflush(stdout);
    usleep(400000);
  }
  kill(other, SIGKILL);
  waitpid(other, 0, 0);
  return 0;
}
