// The directory of people, posts and houses: small, the same for every screen, read once and kept.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { resourcesOf, search } from './fhir';
import type { Organization, Practitioner, PractitionerRole, Reference } from './fhir-types';
import { codeOf, extensionOf, idOf, textOf } from './names';

export interface DirectoryPost {
  id: string;
  practitionerId: string;
  name: string;
  role: string;
  title: string;
  specialty: string;
  phone: string;
  organizationId: string;
  organizationName: string;
  active: boolean;
}

export interface Directory {
  posts: DirectoryPost[];
  organizations: Organization[];
  practitioners: Practitioner[];
  post: (reference: Reference | string | undefined) => DirectoryPost | undefined;
  organization: (reference: Reference | string | undefined) => Organization | undefined;
  postName: (reference: Reference | undefined) => string;
  organizationName: (reference: Reference | undefined) => string;
}

export const humanName = (holder: { name?: { text?: string; family?: string; given?: string[] }[] } | undefined): string => {
  const name = holder?.name?.[0];
  return name?.text ?? `${name?.family ?? ''}${name?.given?.join('') ?? ''}`;
};

const referenceText = (reference: Reference | string | undefined) =>
  typeof reference === 'string' ? reference : reference?.reference;

async function loadAll<T extends PractitionerRole | Practitioner | Organization>(type: T['resourceType']): Promise<T[]> {
  return resourcesOf<T>(await search(type, { _count: 500 }), type);
}

function build(roles: PractitionerRole[], people: Practitioner[], organizations: Organization[]): Directory {
  const names = new Map(people.map((person) => [person.id, humanName(person)]));
  const houses = new Map(organizations.map((house) => [house.id, house]));
  const posts = roles.map((role): DirectoryPost => {
    const practitionerId = idOf(role.practitioner?.reference) ?? '';
    const organizationId = idOf(role.organization?.reference) ?? '';
    return {
      id: role.id ?? '',
      practitionerId,
      name: names.get(practitionerId) ?? role.practitioner?.display ?? '',
      role: codeOf(role.code, 'role') ?? '',
      title: extensionOf(role, 'title')?.valueCode ?? '',
      specialty: textOf(role.specialty?.[0]),
      phone: role.telecom?.find((contact) => contact.system === 'phone')?.value ?? role.telecom?.[0]?.value ?? '',
      organizationId,
      organizationName: houses.get(organizationId)?.name ?? role.organization?.display ?? '',
      active: role.active !== false,
    };
  });
  const byId = new Map(posts.map((post) => [post.id, post]));
  const post = (reference: Reference | string | undefined) => byId.get(idOf(referenceText(reference)) ?? '');
  const organization = (reference: Reference | string | undefined) => houses.get(idOf(referenceText(reference)) ?? '');
  return {
    posts,
    organizations,
    practitioners: people,
    post,
    organization,
    postName: (reference) => post(reference)?.name || reference?.display || '',
    organizationName: (reference) => organization(reference)?.name ?? reference?.display ?? '',
  };
}

export function useDirectory(): Directory {
  const { data: roles } = useQuery({
    queryKey: ['list', 'PractitionerRole'],
    queryFn: () => loadAll<PractitionerRole>('PractitionerRole'),
    staleTime: 300_000,
  });
  const { data: people } = useQuery({
    queryKey: ['list', 'Practitioner'],
    queryFn: () => loadAll<Practitioner>('Practitioner'),
    staleTime: 300_000,
  });
  const { data: organizations } = useQuery({
    queryKey: ['list', 'Organization'],
    queryFn: () => loadAll<Organization>('Organization'),
    staleTime: 300_000,
  });
  return useMemo(() => build(roles ?? [], people ?? [], organizations ?? []), [roles, people, organizations]);
}
