/** Kills this process when the one that has forked it ends, even if it has ended already. */
export function endWithParent(): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  if (process.connected) process.on('disconnect', end);
  else end();
}
