// The live stream of changes: it keeps no data of its own, it only says which queries are stale.
import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

interface Change { type: string; id: string; version: string }
type Message = { type: 'change' | 'word'; data: string } | { type: 'line'; up: boolean } | { type: 'reset' };

const GATHER_MS = 250;

/** Resource types whose change makes an open consult stale. */
const CONSULT_TYPES = new Set([
  'Task', 'ServiceRequest', 'Encounter', 'Appointment', 'Observation', 'ClinicalImpression', 'Communication', 'Composition',
  'Consent', 'Provenance', 'ImagingStudy', 'DiagnosticReport', 'QuestionnaireResponse', 'Bundle',
]);

function invalidate(client: QueryClient, changes: Map<string, Set<string>>): void {
  void client.invalidateQueries({
    predicate: ({ queryKey }) => {
      const [area, type, id] = queryKey as [string, string?, string?];
      if (area === 'fhir') return changes.has(type ?? '') && (id === undefined || (changes.get(type ?? '')?.has(id) ?? false));
      if (area === 'list') return changes.has(type ?? '');
      if (area === 'consult') return [...changes.keys()].some((changed) => CONSULT_TYPES.has(changed));
      if (area === 'transitions') return changes.has('Task') || changes.has('ClinicalImpression') || changes.has('Composition');
      if (area === 'indicators') return changes.has('Task') || (type?.startsWith('round') === true && (changes.has('Observation') || changes.has('Condition')));
      return false;
    },
  });
}

const listeners = new Set<(data: string) => void>();

/** What is said in passing (where a presenter stands); gives the end of listening. */
export function hear(listener: (data: string) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Listens while a person is signed in; answers whether the line is up. */
export function useEvents(sessionKey: string): boolean {
  const client = useQueryClient();
  const [up, setUp] = useState(true);

  useEffect(() => {
    let gathered = new Map<string, Set<string>>();
    let timer: number | undefined;
    let wasDown = false;

    const take = (message: Message) => {
      if (message.type === 'reset') return void client.invalidateQueries();
      if (message.type === 'word') return listeners.forEach((listener) => listener(message.data));
      if (message.type === 'line') {
        setUp(message.up);
        if (message.up && wasDown) void client.invalidateQueries();
        wasDown = !message.up;
        return;
      }
      const change = JSON.parse(message.data) as Change;
      const ids = gathered.get(change.type) ?? new Set<string>();
      gathered.set(change.type, ids.add(change.id));
      timer ??= window.setTimeout(flush, GATHER_MS);
    };
    const flush = () => {
      window.clearTimeout(timer);
      timer = undefined;
      if (gathered.size > 0) invalidate(client, gathered);
      gathered = new Map();
    };

    const stop = typeof SharedWorker === 'undefined' ? listenAlone(take) : listenTogether(take);
    return () => {
      flush();
      stop();
    };
  }, [client, sessionKey]);

  return up;
}

function listenTogether(take: (message: Message) => void): () => void {
  const worker = new SharedWorker(new URL('./events.worker.ts', import.meta.url), { type: 'module', name: 'shanhai-events' });
  worker.port.onmessage = (event: MessageEvent<Message>) => take(event.data);
  worker.port.start();
  worker.port.postMessage({ type: 'open', fresh: true });
  return () => worker.port.postMessage({ type: 'leave' });
}

/** Browsers of phones have no shared worker: each page has a stream of its own. */
function listenAlone(take: (message: Message) => void): () => void {
  const source = new EventSource('/events');
  source.addEventListener('change', (event) => take({ type: 'change', data: (event as MessageEvent<string>).data }));
  source.addEventListener('word', (event) => take({ type: 'word', data: (event as MessageEvent<string>).data }));
  source.addEventListener('reset', () => take({ type: 'reset' }));
  source.onopen = () => take({ type: 'line', up: true });
  source.onerror = () => take({ type: 'line', up: false });
  return () => source.close();
}
