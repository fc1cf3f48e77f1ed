// The head of every page: where one can go, who one is, and whether the line is up.
import { Suspense, useEffect, useRef, useState, type ReactNode } from 'react';
import { NavLink, useNavigate } from 'react-router';
import { GlassNotice } from '../break-glass/glass-notice';
import { CriticalNotice } from '../critical/critical-notice';
import { useEvents } from '../events';
import { useTranslation } from '../i18n';
import { CloseOutlined, CloudSyncOutlined, DisconnectOutlined, DownOutlined, MenuOutlined } from '../parts/icons';
import { LightButton } from '../parts/light';
import { Loading } from '../parts/loading';
import { Menu, type MenuGroup } from '../parts/menu';
import { problemText } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSession, useSessionActions, type Role, type Session } from '../session';
import { withKit } from '../with-kit';
import { useArrival } from './arrival';
import { LanguageSwitch } from './language-switch';
import { Logo } from './logo';
import { StatNotice } from './stat-notice';
import { useComing } from '../with-kit';

const PasswordDialog = withKit(async () => ({ default: (await import('./password-dialog')).PasswordDialog }));

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
  const coming = useComing();
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
        <LightButton kind="text" className="on-dark nav-toggle" icon={<MenuOutlined />} aria-label={t('nav.menu')} aria-expanded={menuOpen} onClick={() => setMenuOpen(true)} />
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
      {coming ? <div className="coming"><Loading /></div> : null}
      <NavDrawer open={menuOpen} onClose={() => setMenuOpen(false)}>{links}</NavDrawer>
      <CriticalNotice />
      <GlassNotice />
      {session.post.role === 'administrator' || session.post.role === 'medical-affairs' ? null : <StatNotice />}
      <main id="content" className="shell-body" tabIndex={-1}>
        <Suspense fallback={<Loading />}>{children}</Suspense>
      </main>
    </div>
  );
}

/** The places on a phone. A dialog of the browser's own keeps the focus inside and closes on Escape. */
function NavDrawer({ open, onClose, children }: { open: boolean; onClose: () => void; children: ReactNode }) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} className="nav-dialog" aria-label={t('nav.menu')} onClose={onClose} onClick={(event) => { if (event.target === dialog.current) onClose(); }}>
      <div className="nav-drawer">
        <div className="nav-drawer-head"><strong>{t('app.name')}</strong><LightButton kind="text" icon={<CloseOutlined />} aria-label={t('common.close')} onClick={onClose} /></div>
        <nav aria-label={t('nav.menu')}>{open ? children : null}</nav>
      </div>
    </dialog>
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
  const { signOut, switchPost } = useSessionActions();
  const [passwordOpen, setPasswordOpen] = useState(false);
  const navigate = useNavigate();

  const change = async (post: string) => {
    try {
      await switchPost(post);
      void navigate('/consults');
    } catch (error) {
      toast.error(problemText(error, t).title);
    }
  };
  const groups: MenuGroup[] = [
    {
      title: t('nav.switchPost'),
      items: session.posts.filter((post) => post.id !== session.post.id).map((post) => ({
        key: post.id, label: `${t(`role.${post.role}`)} · ${post.organization.name}`, onClick: () => void change(post.id),
      })),
    },
    {
      items: [
        { key: 'password', label: t('nav.password'), onClick: () => setPasswordOpen(true) },
        { key: 'out', label: t('nav.signOut'), onClick: () => void signOut() },
      ],
    },
  ];

  return (
    <>
      <Menu groups={groups} className="lb lb-text lb-middle on-dark person" end>
        <span className="person-text">
          <strong>{session.person.name}</strong>
          <span>{t(`role.${session.post.role}`)} · {session.post.organization.name}</span>
        </span>
        <DownOutlined aria-hidden />
      </Menu>
      {passwordOpen ? <Suspense><PasswordDialog open onClose={() => setPasswordOpen(false)} /></Suspense> : null}
    </>
  );
}
