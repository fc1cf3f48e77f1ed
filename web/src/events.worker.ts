// One event stream for all tabs of the browser: a server on a weak line must not hold a connection for each of them.
// A tab says {type:'open'} after sign-in and {type:'close'} at sign-out; what the server tells goes to every tab.

const workerScope = self as unknown as { onconnect: (event: MessageEvent) => void };
const ports = new Set<MessagePort>();
let source: EventSource | undefined;

function tell(message: unknown): void {
  for (const port of ports) port.postMessage(message);
}

function open(): void {
  // A stream begun anew tells nothing of the time between: then everything is read anew.
  let missed = source !== undefined;
  source?.close();
  source = new EventSource('/events');
  source.addEventListener('change', (event) => tell({ type: 'change', data: (event as MessageEvent<string>).data }));
  source.addEventListener('word', (event) => tell({ type: 'word', data: (event as MessageEvent<string>).data }));
  // After a long absence the server does not list what was missed: everything is read anew.
  source.addEventListener('reset', () => tell({ type: 'reset' }));
  source.onopen = () => {
    tell({ type: 'line', up: true });
    if (missed) tell({ type: 'reset' });
    missed = false;
  };
  source.onerror = () => tell({ type: 'line', up: false });
}

workerScope.onconnect = (event: MessageEvent) => {
  const port = event.ports[0];
  if (!port) return;
  ports.add(port);
  port.onmessage = (message: MessageEvent<{ type: string; fresh?: boolean }>) => {
    if (message.data.type === 'open' && (message.data.fresh || !source || source.readyState === EventSource.CLOSED)) open();
    if (message.data.type === 'leave') ports.delete(port);
    if (message.data.type === 'close') {
      source?.close();
      source = undefined;
    }
  };
  port.start();
};

export {};
