// The routes. The list and what stands around it come first, without the component kit; every other page brings it when it is opened.
import { lazy, Suspense } from 'react';
import { createBrowserRouter, Navigate, RouterProvider, type RouteObject } from 'react-router';
import { useDocumentLanguage, useLanguage } from './i18n';
import { Loading } from './parts/loading';
import { Toasts } from './parts/toast';
import { PageFault } from './shell/page-fault';
import { SignedIn } from './shell/signed-in';
import { useSession, type Role } from './session';
import { withKit } from './with-kit';
import WorklistPage from './worklist/worklist-page';

const RequestPage = withKit(() => import('./request/request-page'));
const RoomPage = withKit(() => import('./room/room-page'));
const HandoverPage = withKit(() => import('./worklist/handover-page'));
const PrintPage = withKit(() => import('./print/print-page'));
const ImagesPage = withKit(() => import('./images/images-page'));
const StudyPage = withKit(() => import('./images/study-page'));
const BreakGlassPage = withKit(() => import('./break-glass/break-glass-page'));
const ChartPage = withKit(() => import('./break-glass/chart-page'));
const HoldsPage = withKit(() => import('./holds/holds-page'));
const CheckPage = withKit(() => import('./print/check-page'));
const CriticalPage = withKit(() => import('./critical/critical-page'));
const RoundPage = withKit(() => import('./round/round-page'));
const TodayPage = withKit(() => import('./today/today-page'));
const DailyPage = withKit(() => import('./daily/daily-page'));
const ChangesPage = withKit(() => import('./changes/changes-page'));
const DutyPage = withKit(() => import('./duty/duty-page'));
const AllowPage = withKit(() => import('./allow/allow-page'));
const PeoplePage = withKit(() => import('./people/people-page'));
const WallPage = lazy(() => import('./wall/wall-page'));
const JobsPage = withKit(() => import('./people/jobs-page'));

/** Who takes no part in consults has no worklist: the first page is the own work. */
const FIRST_PAGES: Partial<Record<Role, string>> = { administrator: '/people', 'medical-affairs': '/break-glass' };

function Home() {
  return <Navigate to={FIRST_PAGES[useSession().post.role] ?? '/consults'} replace />;
}

function Worklist() {
  return FIRST_PAGES[useSession().post.role] ? <Home /> : <WorklistPage />;
}

const inShell: RouteObject[] = [
  { index: true, element: <Home /> },
  { path: 'consults', element: <Worklist /> },
  { path: 'consults/new', element: <RequestPage /> },
  { path: 'consults/:taskId/edit', element: <RequestPage /> },
  { path: 'consults/:taskId', element: <RoomPage /> },
  { path: 'images', element: <ImagesPage /> },
  { path: 'images/:studyId', element: <StudyPage /> },
  { path: 'break-glass', element: <BreakGlassPage /> },
  { path: 'break-glass/:taskId', element: <ChartPage /> },
  { path: 'holds', element: <HoldsPage /> },
  { path: 'critical', element: <CriticalPage /> },
  { path: 'round', element: <RoundPage /> },
  { path: 'today', element: <TodayPage /> },
  { path: 'daily', element: <DailyPage /> },
  { path: 'changes', element: <ChangesPage /> },
  { path: 'duty', element: <DutyPage /> },
  { path: 'people', element: <PeoplePage /> },
  { path: 'jobs', element: <JobsPage /> },
  { path: '*', element: <Navigate to="/" replace /> },
];

const router = createBrowserRouter([
  {
    path: '/',
    errorElement: <PageFault />,
    children: [
      { path: 'check/:document/:mark', element: <CheckPage /> },
      { path: 'screen', element: <SignedIn bare />, children: [{ index: true, element: <WallPage /> }] },
      { path: 'allow', element: <SignedIn bare />, children: [{ index: true, element: <AllowPage /> }] },
      { path: 'consults/handover', element: <SignedIn bare />, children: [{ index: true, element: <HandoverPage /> }] },
      { path: 'consults/:taskId/print', element: <SignedIn bare />, children: [{ index: true, element: <PrintPage /> }] },
      { element: <SignedIn />, errorElement: <PageFault />, children: inShell },
    ],
  },
]);

export function App() {
  useDocumentLanguage(useLanguage());
  return (
    <>
      <Suspense fallback={<Loading />}>
        <RouterProvider router={router} />
      </Suspense>
      <Toasts />
    </>
  );
}
