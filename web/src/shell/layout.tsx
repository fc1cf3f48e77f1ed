// The head of every page: where one can go, who one is, and whether the line is up.
import { CloudSyncOutlined, DisconnectOutlined, DownOutlined, MenuOutlined } from '@ant-design/icons';
import { App, Button, Drawer, Dropdown, type MenuProps } from 'antd';
import { lazy, Suspense, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { NavLink, useNavigate } from 'react-router';
import { GlassNotice } from '../break-glass/glass-notice';
import { CriticalNotice } from '../critical/critical-notice';
import { useEvents } from '../events';
import { Loading } from '../parts/loading';
import { problemText } from '../parts/problem';
import { useSession, useSessionActions, type Role, type Session } from '../session';
import { useArrival } from './arrival';
import { LanguageSwitch } from './language-switch';
import { Logo } from './logo';
import { StatNotice } from './stat-notice';

const PasswordDialog = lazy(async () => ({ default: (await import('./password-dialog')).PasswordDialog }));

const CLINICAL: Role[] = ['county-doctor', 'consult-coordinator', 'expert', 'radiologist', 'duty-head'];

const BREAK_GLASS: Role[] = ['county-doctor', 'duty-head', 'radiologist', 'expert', 'medical-affairs'];
const DUTY: Role[] = ['consult-coordinator', 'medical-affairs', 'expert', 'duty-head'];
const ROUND: Role[] = ['county-doctor', 'duty-head', 'commander'];
const CRITICAL: Role[] = ['county-doctor', 'duty-head', 'radiologist', 'expert'];

function placesOf(session: Session): { to: string; key: string }[] {
  const role = session.post.role;
  const places = role === 'administrator' || role === 'medical-affairs' ? [] : [{ to: '/consults', key: 'nav.consults' }, { to: '/changes', key: 'nav.changes' }];
  if (CLINICAL.includes(role)) places.push({ to: '/images', key: 'nav.images' });
  if (CRITICAL.includes(role)) places.push({ to: '/critical', key: 'nav.critical' });
  if (BREAK_GLASS.includes(role)) places.push({ to: '/break-glass', key: 'nav.breakGlass' });
  if (role === 'medical-affairs') places.push({ to: '/holds', key: 'nav.holds' });
  if (DUTY.includes(role)) places.push({ to: '/duty', key: 'nav.duty' });
  if (ROUND.includes(role)) places.push({ to: '/round', key: 'nav.round' });
  places.push({ to: '/today', key: 'nav.today' }, { to: '/daily', key: 'nav.daily' });
  if (role === 'administrator') places.unshift({ to: '/people', key: 'nav.people' }, { to: '/jobs', key: 'nav.jobs' });
  return places;
}

export function Layout({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const session = useSession();
  useArrival();
  const lineUp = useEvents(`${session.person.id}/${session.post.id}/${session.csrf}`);
  const [menuOpen, setMenuOpen] = useState(false);
  const places = placesOf(session);
  const links = places.map((place) => (
    <NavLink key={place.to} to={place.to} className="nav-link" onClick={() => setMenuOpen(false)}>
      {t(place.key)}
    </NavLink>
  ));

  return (
    <div className="shell">
      <a className="skip-link" href="#content">{t('nav.skip')}</a>
      <header className="shell-head">
        <Button type="text" className="on-dark nav-toggle" icon={<MenuOutlined />} aria-label={t('nav.menu')} onClick={() => setMenuOpen(true)} />
        <NavLink to="/" className="brand" aria-label={t('app.name')}>
          <Logo /> <span>{t('app.name')}</span>
        </NavLink>
        <nav className="nav" aria-label={t('nav.main')}>{links}</nav>
        <div className="shell-tools">
          <LineState up={lineUp} />
          <LanguageSwitch dark />
          <PersonMenu session={session} />
        </div>
      </header>
      <Drawer open={menuOpen} onClose={() => setMenuOpen(false)} placement="left" size={240} title={t('app.name')}>
        <nav className="nav-drawer" aria-label={t('nav.menu')}>{links}</nav>
      </Drawer>
      <CriticalNotice />
      <GlassNotice />
      {session.post.role === 'administrator' || session.post.role === 'medical-affairs' ? null : <StatNotice />}
      <main id="content" className="shell-body" tabIndex={-1}>
        <Suspense fallback={<Loading />}>{children}</Suspense>
      </main>
    </div>
  );
}

function LineState({ up }: { up: boolean }) {
  const { t } = useTranslation();
  return (
    <span className={`line-state ${up ? '' : 'line-down'}`} role="status">
      {up ? <CloudSyncOutlined aria-hidden /> : <DisconnectOutlined aria-hidden />} <span>{t(up ? 'nav.lineUp' : 'nav.lineDown')}</span>
    </span>
  );
}

function PersonMenu({ session }: { session: Session }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const { signOut, switchPost } = useSessionActions();
  const [passwordOpen, setPasswordOpen] = useState(false);
  const navigate = useNavigate();

  const change = async (post: string) => {
    try {
      await switchPost(post);
      void navigate('/consults');
    } catch (error) {
      void message.error(problemText(error, t).title);
    }
  };
  const others = session.posts.filter((post) => post.id !== session.post.id);
  const items: MenuProps['items'] = [
    ...(others.length > 0
      ? [{
          type: 'group' as const,
          label: t('nav.switchPost'),
          children: others.map((post) => ({
            key: `post:${post.id}`,
            label: `${t(`role.${post.role}`)} · ${post.organization.name}`,
            onClick: () => void change(post.id),
          })),
        }, { type: 'divider' as const }]
      : []),
    { key: 'password', label: t('nav.password'), onClick: () => setPasswordOpen(true) },
    { key: 'out', label: t('nav.signOut'), onClick: () => void signOut() },
  ];

  return (
    <>
      <Dropdown menu={{ items }} trigger={['click']} placement="bottomRight">
        <Button type="text" className="on-dark person">
          <span className="person-text">
            <strong>{session.person.name}</strong>
            <span>{t(`role.${session.post.role}`)} · {session.post.organization.name}</span>
          </span>
          <DownOutlined aria-hidden />
        </Button>
      </Dropdown>
      {passwordOpen ? <Suspense><PasswordDialog open onClose={() => setPasswordOpen(false)} /></Suspense> : null}
    </>
  );
}
