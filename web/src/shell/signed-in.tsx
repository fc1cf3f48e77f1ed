// The gate: without a session there is only the sign-in page; the address stays, so that signing in leads back to it.
import { Suspense, useEffect } from 'react';
import { Outlet } from 'react-router';
import { configureClient } from '../fhir';
import { useEvents } from '../events';
import { useLanguage } from '../i18n';
import { Loading } from '../parts/loading';
import { Problem } from '../parts/problem';
import { SessionProvider, useSession, useSessionActions, useSessionQuery } from '../session';
import { useArrival } from './arrival';
import { withKit } from '../with-kit';
import { Layout } from './layout';
import { SignInPage } from './sign-in-page';

const PasswordPage = withKit(async () => ({ default: (await import('./password-dialog')).PasswordPage }));

export function SignedIn({ bare = false }: { bare?: boolean }) {
  const { data: session, isPending, error, refetch } = useSessionQuery();
  const { forget } = useSessionActions();
  const language = useLanguage();
  configureClient({ language: language === 'zh' ? 'zh-CN' : 'en' });

  useEffect(() => configureClient({ onSignedOut: forget }));

  if (isPending) return <Loading />;
  if (error) {
    return (
      <main className="page">
        <Problem error={error} retry={() => void refetch()} />
      </main>
    );
  }
  if (!session) return <SignInPage />;
  if (session.mustChangePassword) return <Suspense fallback={<Loading />}><PasswordPage /></Suspense>;
  return (
    <SessionProvider value={session}>
      {bare ? <Bare key={session.post.id} /> : <Layout key={session.post.id}><Outlet /></Layout>}
    </SessionProvider>
  );
}

/** A page without the head, for paper: it too must show what is true now. */
function Bare() {
  const session = useSession();
  useArrival();
  useEvents(`${session.person.id}/${session.post.id}/${session.csrf}`);
  return <Outlet />;
}
