/** What guards a worker that has joined its job has this long to end it in order. */
const endWithinMs = 1500;

/** Kills this process when the one that has forked it ends, even if it has ended already. */
export function endWithParent(): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  if (process.connected) process.on('disconnect', () => setTimeout(end, endWithinMs));
  else end();
}
