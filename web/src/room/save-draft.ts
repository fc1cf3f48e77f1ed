// A draft is made once and then replaced; the consult in the store always holds the version that was saved last, so a
// screen that opens again goes on with it instead of making a second one.
import type { QueryClient } from '@tanstack/react-query';
import type { Consult } from '../consult/data';
import { ApiError, create, LineError, read, update } from '../fhir';
import type { Resource } from '../fhir-types';

type DraftList = 'impressions' | 'compositions' | 'diagnosis';

interface DraftOptions<T extends Resource> {
  client: QueryClient;
  taskId: string;
  list: DraftList;
  isMine: (resource: T) => boolean;
  fresh: () => T;
  /** Puts the present text into a stored or fresh resource. */
  write: (resource: T) => T;
}

const VERSION_CONFLICT = 412;

/** Consults whose draft was sent without an answer: it may stand on the server, and is looked for before another is made. */
const unanswered = new Set<string>();

export async function saveDraft<T extends Resource>({ client, taskId, list, isMine, fresh, write }: DraftOptions<T>): Promise<void> {
  const key = ['consult', taskId];
  const mine = () => (client.getQueryData<Consult>(key)?.[list] as unknown as T[] | undefined)?.find(isMine);
  if (unanswered.has(taskId)) {
    await client.refetchQueries({ queryKey: key }, { throwOnError: true });
    unanswered.delete(taskId);
  }
  const saved = await put(write(mine() ?? fresh()), write).catch((error: unknown) => {
    if (error instanceof LineError && !mine()) unanswered.add(taskId);
    throw error;
  });
  client.setQueryData<Consult>(key, (consult) => {
    if (!consult) return consult;
    const others = (consult[list] as unknown as T[]).filter((resource) => resource.id !== saved.id);
    return { ...consult, [list]: [...others, saved] };
  });
  void client.invalidateQueries({ queryKey: ['transitions', taskId] });
}

/** The person is the only writer of a draft: a version that has moved is one saved from another tab, and is replaced. */
async function put<T extends Resource>(resource: T, write: (resource: T) => T): Promise<T> {
  if (!resource.id) return create(resource);
  try {
    return await update(resource);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== VERSION_CONFLICT) throw error;
    return update(write(await read<T>(`${resource.resourceType}/${resource.id}`)));
  }
}
