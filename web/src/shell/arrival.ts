// What a change of page means for who does not see it happen: the focus is on the page again when what held it has gone.
import { useEffect, useRef } from 'react';
import { useLocation } from 'react-router';

/** Runs when the new page stands, not when it was asked for: until then the page before stays on the screen. */
export function useArrival(): void {
  const { pathname, search } = useLocation();
  const last = useRef(pathname);
  useEffect(() => {
    document.documentElement.dataset['at'] = pathname + search;
    if (last.current === pathname) return;
    last.current = pathname;
    if (document.activeElement === null || document.activeElement === document.body) document.getElementById('content')?.focus({ preventScroll: true });
  }, [pathname, search]);
}
