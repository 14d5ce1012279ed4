// A switch that keeps every packet back for a given time, where the kernel has no netem: delay-relay MICROSECONDS
// INTERFACE... Each interface is the near end of a veth pair whose far end is a host. Prints a line once it forwards, and
// ends when its standard input does.
//
// Packets keep their virtio header, so that the kernel hands over up to 64 KiB at once, as it does between the two ends
// of a veth pair. The delay is the same for all, so one queue is enough.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 300, HEADER = sizeof(struct virtio_net_hdr), LARGEST = HEADER + 65536 + 64, RING = 1 << 16 };

struct packet {
  long long due;
  int from, length;
  unsigned char bytes[];
};

static int sockets[PORTS], ports;
static unsigned char addresses[PORTS][ETH_ALEN];
static struct packet *ring[RING];
static unsigned head, tail;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int join(const char *interface) {
  int one = 1, large = 64 << 20;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  at.sll_ifindex = if_nametoindex(interface);
  if (fd < 0 || at.sll_ifindex == 0) fail(interface);
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)) fail("PACKET_VNET_HDR");
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one)) fail("PACKET_IGNORE_OUTGOING");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large);
  if (bind(fd, (struct sockaddr *)&at, sizeof at)) fail(interface);
  return fd;
}

static void take(int port, long long delay) {
  static unsigned char buffer[LARGEST];
  for (;;) {
    ssize_t length = recv(sockets[port], buffer, sizeof buffer, 0);
    if (length < HEADER + ETH_HLEN) return;
    memcpy(addresses[port], buffer + HEADER + ETH_ALEN, ETH_ALEN);
    struct packet *packet = malloc(sizeof *packet + length);
    if (!packet || tail - head == RING) {
      free(packet);
      continue;
    }
    *packet = (struct packet){.due = now() + delay, .from = port, .length = length};
    memcpy(packet->bytes, buffer, length);
    ring[tail++ % RING] = packet;
  }
}

static void pass_on(const struct packet *packet) {
  const unsigned char *destination = packet->bytes + HEADER;
  int known = -1;
  for (int port = 0; port < ports; port++)
    if (!(destination[0] & 1) && !memcmp(addresses[port], destination, ETH_ALEN)) known = port;
  for (int port = 0; port < ports; port++)
    if (port != packet->from && (known < 0 || port == known))
      send(sockets[port], packet->bytes, packet->length, 0);
}

int main(int count, char **arguments) {
  if (count < 3 || count - 2 > PORTS - 1) return 2;
  long long delay = atof(arguments[1]) * 1000;
  ports = count - 2;
  struct pollfd polled[PORTS];
  for (int port = 0; port < ports; port++) {
    sockets[port] = join(arguments[port + 2]);
    polled[port] = (struct pollfd){.fd = sockets[port], .events = POLLIN};
  }
  polled[ports] = (struct pollfd){.fd = 0, .events = POLLIN};
  struct sched_param first = {.sched_priority = 10};
  sched_setscheduler(0, SCHED_FIFO, &first);
  prctl(PR_SET_TIMERSLACK, 1);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct timespec left, *wait = NULL;
    if (head != tail) {
      long long until = ring[head % RING]->due - now();
      if (until < 0) until = 0;
      left = (struct timespec){.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
      wait = &left;
    }
    if (ppoll(polled, ports + 1, wait, NULL) > 0) {
      if (polled[ports].revents) return 0;
      for (int port = 0; port < ports; port++)
        if (polled[port].revents & POLLIN) take(port, delay);
    }
    for (; head != tail && ring[head % RING]->due <= now(); head++) {
      pass_on(ring[head % RING]);
      free(ring[head % RING]);
    }
  }
}
