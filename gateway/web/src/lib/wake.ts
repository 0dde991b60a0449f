// Calls back when there is reason to look at connections again: the network returned, or the page did.

export function onWake(callback: () => void): () => void {
  const onVisible = () => {
    if (document.visibilityState === 'visible') callback();
  };
  addEventListener('online', callback);
  addEventListener('pageshow', callback);
  document.addEventListener('visibilitychange', onVisible);
  return () => {
    removeEventListener('online', callback);
    removeEventListener('pageshow', callback);
    document.removeEventListener('visibilitychange', onVisible);
  };
}

/** Calls back with whether the page is hidden, now and whenever that changes. */
export function onHidden(callback: (hidden: boolean) => void): () => void {
  const tell = () => callback(document.visibilityState === 'hidden');
  tell();
  document.addEventListener('visibilitychange', tell);
  return () => document.removeEventListener('visibilitychange', tell);
}

/** Calls back when the browser says that the network is gone; it may be wrong about a gateway on this machine. */
export function onCut(callback: () => void): () => void {
  addEventListener('offline', callback);
  return () => removeEventListener('offline', callback);
}
