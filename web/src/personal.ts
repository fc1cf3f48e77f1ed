// What a person keeps on the server: until when the changes were seen, and views of the worklist by name. One Basic a
// person (policy `signed-in`), so that it is there at every computer and nobody else reads it.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ApiError, create, resourcesOf, search, update } from './fhir';
import type { Extension, Resource } from './fhir-types';
import { codes, concept, extensionOf, extensionUrl } from './names';
import { useSession } from './session';

interface Basic extends Resource {
  resourceType: 'Basic';
  code: ReturnType<typeof concept>;
  author: { reference: string };
  extension?: Extension[];
}

export interface SavedView { name: string; query: string }
export interface Personal { seen: string | undefined; views: SavedView[] }

const VIEWS_MAX = 12;
const NAME_MAX = 20;

const partOf = (extension: Extension, url: string) => extension.extension?.find((part) => part.url === url)?.valueString ?? '';

export function readPersonal(basic: Basic | undefined): Personal {
  return {
    seen: extensionOf(basic, 'seen')?.valueInstant,
    views: (basic?.extension ?? [])
      .filter((one) => one.url === extensionUrl('view'))
      .map((one) => ({ name: partOf(one, 'name'), query: partOf(one, 'query') })),
  };
}

export function withPersonal(basic: Basic, personal: Personal): Basic {
  const views = personal.views.slice(0, VIEWS_MAX).map((view) => ({
    url: extensionUrl('view'),
    extension: [{ url: 'name', valueString: view.name.slice(0, NAME_MAX) }, { url: 'query', valueString: view.query || '-' }],
  }));
  const seen = personal.seen ? [{ url: extensionUrl('seen'), valueInstant: personal.seen }] : [];
  const extension = [...seen, ...views];
  return { ...basic, extension: extension.length > 0 ? extension : undefined };
}

const load = async (person: string, signal?: AbortSignal): Promise<Basic | null> =>
  resourcesOf<Basic>(await search('Basic', { author: `Practitioner/${person}`, code: `${codes('basic')}|personal`, _count: 1 }, signal), 'Basic')[0] ?? null;

export function usePersonal() {
  const { person } = useSession();
  const client = useQueryClient();
  const key = ['list', 'Basic', 'personal', person.id];
  const { data, isPending } = useQuery({ queryKey: key, queryFn: ({ signal }) => load(person.id, signal), staleTime: 300_000 });
  const keep = useMutation({
    mutationFn: async (change: (now: Personal) => Personal) => {
      for (let attempt = 1; ; attempt++) {
        const basic = await load(person.id);
        const fresh: Basic = { resourceType: 'Basic', code: concept('basic', 'personal'), author: { reference: `Practitioner/${person.id}` } };
        const next = withPersonal(basic ?? fresh, change(readPersonal(basic ?? undefined)));
        try {
          return basic ? await update(next) : await create(next);
        } catch (error) {
          // Another tab of the same person was faster.
          if (attempt > 2 || !(error instanceof ApiError && error.status === 412)) throw error;
        }
      }
    },
    onSuccess: (basic) => client.setQueryData(key, basic),
  });
  return { personal: readPersonal(data ?? undefined), isPending, keep };
}
