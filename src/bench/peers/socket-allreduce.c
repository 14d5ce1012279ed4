// The limit of sockets: the ring all-reduce of two ranks in C over a socket a direction, as pod-dist's engine does it, with
// one thread that sends and one that receives: socket-allreduce BYTES ITERATIONS WARMUPS unix|tcp.
// Prints the slower rank's milliseconds of each iteration, then the number of wrong elements of both.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 2 << 20, BLOCK = 128 << 10 };

static float *values, *scratch;
static size_t length;
static int rank, outgoing, incoming;
static sem_t begun, reduced, sent;

static float pattern(size_t index, int of) { return (float)((index + 7 * (size_t)of) & 15); }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void put(const void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = write(outgoing, (const char *)data + done, bytes - done);
    if (n <= 0) exit(4);
    done += n;
  }
}

static void take(void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = read(incoming, (char *)data + done, bytes - done);
    if (n <= 0) exit(5);
    done += n;
  }
}

// Part p of two: its first byte and its bytes.
static char *part(int p, size_t *bytes) {
  size_t half = length / 2;
  *bytes = (p ? length - half : half) * sizeof(float);
  return (char *)(values + (p ? half : 0));
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void *sender(void *unused) {
  for (;;) {
    size_t bytes;
    sem_wait(&begun);
    char *other = part(1 - rank, &bytes);
    put(other, bytes);
    char *own = part(rank, &bytes);
    for (size_t at = 0; at < bytes; at += CHUNK) {
      sem_wait(&reduced);
      put(own + at, least(CHUNK, bytes - at));
    }
    sem_post(&sent);
  }
  return unused;
}

static void allreduce(void) {
  size_t bytes;
  sem_post(&begun);
  char *own = part(rank, &bytes);
  for (size_t at = 0; at < bytes; at += CHUNK) {
    size_t end = at + least(CHUNK, bytes - at);
    for (size_t from = at; from < end; from += BLOCK) {
      size_t size = least(BLOCK, end - from);
      take(scratch, size);
      float *target = (float *)(own + from);
      for (size_t i = 0; i < size / sizeof(float); i++) target[i] += scratch[i];
    }
    sem_post(&reduced);
  }
  char *other = part(1 - rank, &bytes);
  take(other, bytes);
  sem_wait(&sent);
}

// Two connected sockets, over loopback with tcp; nonzero on failure.
static int connected(int ends[2], int tcp) {
  if (!tcp) return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || ends[0] < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1)) return 1;
  if (getsockname(listener, (struct sockaddr *)&address, &size)) return 1;
  if (connect(ends[0], (struct sockaddr *)&address, size)) return 1;
  ends[1] = accept(listener, NULL, NULL);
  close(listener);
  for (int i = 0; i < 2; i++)
    if (ends[i] < 0 || setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) return 1;
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int tcp = strcmp(argv[4], "tcp") == 0;
  length = strtoull(argv[1], NULL, 10) / sizeof(float);
  int iterations = atoi(argv[2]), warmups = atoi(argv[3]), to[2], back[2];
  double *shared = mmap(NULL, sizeof(double) * 2 * (iterations + 1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || connected(to, tcp) || connected(back, tcp)) return 3;
  pid_t child = fork();
  rank = child == 0;
  outgoing = rank ? back[1] : to[0];
  incoming = rank ? to[1] : back[0];
  values = malloc(length * sizeof(float) + 64);
  scratch = malloc(BLOCK);
  sem_init(&begun, 0, 0);
  sem_init(&reduced, 0, 0);
  sem_init(&sent, 0, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, sender, NULL);
  for (int i = -warmups; i < iterations; i++) {
    for (size_t k = 0; k < length; k++) values[k] = pattern(k, rank);
    char word = 0;
    put(&word, 1);
    take(&word, 1);
    double elapsed = now();
    allreduce();
    elapsed = now() - elapsed;
    if (i >= 0) shared[2 * i + rank] = elapsed;
  }
  double wrong = 0;
  for (size_t k = 0; k < length; k++) wrong += values[k] != pattern(k, 0) + pattern(k, 1);
  shared[2 * iterations + rank] = wrong;
  if (rank) _exit(0);
  if (waitpid(child, NULL, 0) != child) return 6;
  for (int i = 0; i < iterations; i++) printf("%.6f\n", shared[2 * i] > shared[2 * i + 1] ? shared[2 * i] : shared[2 * i + 1]);
  printf("errors %.0f\n", shared[2 * iterations] + shared[2 * iterations + 1]);
  return 0;
}
