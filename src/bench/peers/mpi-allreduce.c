// Times MPI_Allreduce in place: mpi-allreduce BYTES ITERATIONS WARMUPS.
// Prints the slowest rank's milliseconds of each iteration, then the number of wrong elements over all ranks.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static float pattern(size_t index, int rank) { return (float)((index + 7 * (size_t)rank) & 15); }

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc != 4) MPI_Abort(MPI_COMM_WORLD, 2);
  size_t length = strtoull(argv[1], NULL, 10) / sizeof(float);
  int iterations = atoi(argv[2]), warmups = atoi(argv[3]);
  float *values = malloc(length * sizeof(float) + 1);
  if (!values) MPI_Abort(MPI_COMM_WORLD, 3);

  for (int iteration = -warmups; iteration < iterations; iteration++) {
    for (size_t i = 0; i < length; i++) values[i] = pattern(i, rank);
    MPI_Barrier(MPI_COMM_WORLD);
    double elapsed = MPI_Wtime(), slowest;
    MPI_Allreduce(MPI_IN_PLACE, values, (int)length, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    elapsed = MPI_Wtime() - elapsed;
    MPI_Reduce(&elapsed, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    if (rank == 0 && iteration >= 0) printf("%.6f\n", slowest * 1e3);
  }

  long wrong = 0, total;
  for (size_t i = 0; i < length; i++) {
    float sum = 0;
    for (int other = 0; other < size; other++) sum += pattern(i, other);
    wrong += values[i] != sum;
  }
  MPI_Reduce(&wrong, &total, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("errors %ld\n", total);
  free(values);
  MPI_Finalize();
  return 0;
}
