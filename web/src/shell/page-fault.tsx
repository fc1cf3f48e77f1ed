// A fault of the screen itself; after an update of the program the usual cause is a part that the server no longer has.
import { useRouteError } from 'react-router';
import { useTranslation } from '../i18n';
import { WarningOutlined } from '../parts/icons';
import { LightButton } from '../parts/light';

/** A part of the screens that did not come: the line is broken, or the program was renewed meanwhile. */
const didNotCome = (error: unknown) => error instanceof Error && /dynamically imported module|importing a module/i.test(error.message);

export function PageFault() {
  const { t } = useTranslation();
  const missing = didNotCome(useRouteError());
  return (
    <main className="empty page-fault">
      <WarningOutlined aria-hidden className="empty-icon" />
      <h1 className="empty-title">{t(missing ? 'problem.line' : 'problem.screen')}</h1>
      <p className="empty-help">{t(missing ? 'problem.partHelp' : 'problem.screenHelp')}</p>
      <LightButton kind="primary" onClick={() => window.location.reload()}>{t('common.reload')}</LightButton>
    </main>
  );
}
