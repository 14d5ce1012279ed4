/** Milliseconds that a worker which has joined its job has to end in order, before it is killed. */
const endWithinMs = 1500;

/** Kills this process when the one that has forked it ends, even if it has ended already. */
export function endWithParent(): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  if (process.connected) process.on('disconnect', () => setTimeout(end, endWithinMs));
  else end();
}
