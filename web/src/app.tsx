// Theme, language of the kit, and the routes. What only some people open comes when they open it.
import { App as AntApp, ConfigProvider } from 'antd';
import enUS from 'antd/locale/en_US';
import zhCN from 'antd/locale/zh_CN';
import dayjs from 'dayjs';
import 'dayjs/locale/zh-cn';
import { lazy, Suspense, useEffect } from 'react';
import { createBrowserRouter, Navigate, RouterProvider, type RouteObject } from 'react-router';
import { useDocumentLanguage, useLanguage } from './i18n';
import { Loading } from './parts/loading';
import { PageFault } from './shell/page-fault';
import { SignedIn } from './shell/signed-in';
import { useSession, type Role } from './session';
import { theme } from './theme';

const WorklistPage = lazy(() => import('./worklist/worklist-page'));
const RequestPage = lazy(() => import('./request/request-page'));
const RoomPage = lazy(() => import('./room/room-page'));
const HandoverPage = lazy(() => import('./worklist/handover-page'));
const PrintPage = lazy(() => import('./print/print-page'));
const ImagesPage = lazy(() => import('./images/images-page'));
const StudyPage = lazy(() => import('./images/study-page'));
const BreakGlassPage = lazy(() => import('./break-glass/break-glass-page'));
const ChartPage = lazy(() => import('./break-glass/chart-page'));
const HoldsPage = lazy(() => import('./holds/holds-page'));
const CheckPage = lazy(() => import('./print/check-page'));
const CriticalPage = lazy(() => import('./critical/critical-page'));
const RoundPage = lazy(() => import('./round/round-page'));
const TodayPage = lazy(() => import('./today/today-page'));
const DailyPage = lazy(() => import('./daily/daily-page'));
const ChangesPage = lazy(() => import('./changes/changes-page'));
const DutyPage = lazy(() => import('./duty/duty-page'));
const AllowPage = lazy(() => import('./allow/allow-page'));
const PeoplePage = lazy(() => import('./people/people-page'));
const JobsPage = lazy(() => import('./people/jobs-page'));

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
      { path: 'allow', element: <SignedIn bare />, children: [{ index: true, element: <AllowPage /> }] },
      { path: 'consults/handover', element: <SignedIn bare />, children: [{ index: true, element: <HandoverPage /> }] },
      { path: 'consults/:taskId/print', element: <SignedIn bare />, children: [{ index: true, element: <PrintPage /> }] },
      { element: <SignedIn />, errorElement: <PageFault />, children: inShell },
    ],
  },
]);

export function App() {
  const language = useLanguage();
  useDocumentLanguage(language);
  useEffect(() => {
    dayjs.locale(language === 'zh' ? 'zh-cn' : 'en');
  }, [language]);
  return (
    <ConfigProvider theme={theme} locale={language === 'zh' ? zhCN : enUS} button={{ autoInsertSpace: false }}>
      <AntApp>
        <Suspense fallback={<Loading />}>
          <RouterProvider router={router} />
        </Suspense>
      </AntApp>
    </ConfigProvider>
  );
}
