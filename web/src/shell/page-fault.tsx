// A fault of the screen itself; after an update of the program the usual cause is a part that the server no longer has.
import { WarningOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';

export function PageFault() {
  const { t } = useTranslation();
  return (
    <main className="empty page-fault">
      <WarningOutlined aria-hidden className="empty-icon" />
      <h1 className="empty-title">{t('problem.screen')}</h1>
      <p className="empty-help">{t('problem.screenHelp')}</p>
      <Button type="primary" onClick={() => window.location.reload()}>{t('common.reload')}</Button>
    </main>
  );
}
