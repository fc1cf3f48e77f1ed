// Who is signed in, under which post. One object for the whole page, kept by TanStack Query.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext } from 'react';
import { ApiError, callJson, configureClient, sendJson } from './fhir';

export type Role =
  | 'county-doctor'
  | 'consult-coordinator'
  | 'expert'
  | 'radiologist'
  | 'duty-head'
  | 'commander'
  | 'medical-affairs'
  | 'administrator';

export interface Post {
  id: string;
  role: Role;
  title?: string;
  organization: { id: string; name: string };
  tenant: { id: string; name: string };
}

export interface Session {
  person: { id: string; name: string };
  post: Post;
  posts: Post[];
  csrf: string;
  language?: string;
  /** After a reset: nothing else is open until the person has a password of their own. */
  mustChangePassword?: boolean;
}

const SESSION_KEY = ['session'];

/** Says that this browser has signed in once; without it nobody need ask the server for a session. It holds no secret. */
const SIGNED_IN_MARK = 'shanhai.signed-in';

function take(session: Session): Session {
  configureClient({ csrf: session.csrf });
  return session;
}

export function useSessionQuery() {
  return useQuery({
    queryKey: SESSION_KEY,
    queryFn: async (): Promise<Session | null> => {
      if (localStorage.getItem(SIGNED_IN_MARK) === null) return null;
      try {
        const session = await callJson<Session | undefined>('/session', { keepSession: true });
        return session?.person ? take(session) : null;
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: Infinity,
  });
}

const SessionContext = createContext<Session | null>(null);
export const SessionProvider = SessionContext.Provider;

/** The session inside the signed-in part of the screens, where there always is one. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error('used outside the signed-in screens');
  return session;
}

export function useSessionActions() {
  const client = useQueryClient();
  const begin = (session: Session) => {
    // Nothing of another person or post may stay on the screen.
    client.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
    localStorage.setItem(SIGNED_IN_MARK, '1');
    client.setQueryData(SESSION_KEY, take(session));
  };
  return {
    signIn: async (name: string, password: string) =>
      begin(await sendJson<Session>('/session', 'POST', { name, password }, { keepSession: true })),
    switchPost: async (post: string) => begin(await sendJson<Session>('/session/post', 'POST', { post: `PractitionerRole/${post}` })),
    changePassword: async (old: string, next: string) => {
      const session = await sendJson<Session | undefined>('/session/password', 'POST', { old, new: next });
      if (session?.csrf) begin(session);
    },
    signOut: async () => {
      try {
        await sendJson('/session', 'DELETE', {});
      } finally {
        sessionStorage.clear();
        localStorage.removeItem(SIGNED_IN_MARK);
        client.clear();
        client.setQueryData(SESSION_KEY, null);
      }
    },
    forget: () => {
      localStorage.removeItem(SIGNED_IN_MARK);
      client.setQueryData(SESSION_KEY, null);
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
    },
  };
}

export function roleIs(session: Session, ...roles: Role[]): boolean {
  return roles.includes(session.post.role);
}
